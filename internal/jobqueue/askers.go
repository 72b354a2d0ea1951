package jobqueue

import (
	"context"
	"sync"
)

// Shares of the handlers of one verb: who asks a lot waits behind itself, and nobody
// else does.
const (
	// requestsAtOnce bounds the handlers that run at one time, eachAtOnce those of
	// one asker.
	requestsAtOnce = 128
	eachAtOnce     = 32
	// eachWaiting bounds the requests of one asker that wait, eachWaitingBytes their
	// size. What is too much is dropped: it is asked again.
	eachWaiting      = 1024
	eachWaitingBytes = 8 << 20
)

// askers has the handlers of one verb run in the background.
type askers struct {
	slots chan struct{}
	group sync.WaitGroup
	mu    sync.Mutex
	of    map[string]*asker
}

// asker is one of those for whom handlers run.
type asker struct {
	running int
	waiting []request
	bytes   int
}

type request struct {
	size   int
	handle func()
}

func newAskers() *askers {
	return &askers{slots: make(chan struct{}, requestsAtOnce), of: map[string]*asker{}}
}

// do has a request of somebody handled in the background, or not at all once ctx has
// ended. It never waits, and reports whether there was room.
func (s *askers) do(ctx context.Context, who string, r request) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.of[who]
	if a == nil {
		a = &asker{}
		s.of[who] = a
	}
	switch {
	case a.running < eachAtOnce:
		a.running++
		s.group.Go(func() { s.run(ctx, who, r) })
	case len(a.waiting) == eachWaiting || a.bytes+r.size > eachWaitingBytes:
		return false
	default:
		a.waiting, a.bytes = append(a.waiting, r), a.bytes+r.size
	}
	return true
}

func (s *askers) run(ctx context.Context, who string, r request) {
	for ok := true; ok; r, ok = s.next(ctx, who) {
		select {
		case s.slots <- struct{}{}:
			r.handle()
			<-s.slots
		case <-ctx.Done():
		}
	}
}

// next is what the same asker has waited with longest, if there is anything.
func (s *askers) next(ctx context.Context, who string) (r request, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.of[who]
	if len(a.waiting) == 0 || ctx.Err() != nil {
		if a.running--; a.running == 0 {
			delete(s.of, who)
		}
		return r, false
	}
	r = a.waiting[0]
	a.waiting[0] = request{}
	a.waiting, a.bytes = a.waiting[1:], a.bytes-r.size
	return r, true
}

func (s *askers) wait() { s.group.Wait() }
