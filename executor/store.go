package executor

import (
	"context"
	"sync"
)

// storeHealth is whether the object store is there and has room, as the
// transfers of running jobs find out. While it is away they try again and again,
// so the first to succeed tells that it is back; an executor asks for no more
// jobs until then, because their inputs and outputs would fare no better. The
// zero value is that of a store that is there.
type storeHealth struct {
	mu sync.Mutex
	// waiting counts the transfers that have failed and try again.
	waiting int
	// back is closed when the store is back; nil while it is not away.
	back chan struct{}
	// turned, if not nil, is told of each change.
	turned func(away bool)
}

// failed notes a try to which the store gave no answer, or that of a store that
// cannot. The first of a transfer must be followed by over.
func (s *storeHealth) failed(first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if first {
		s.waiting++
	}
	if s.back == nil {
		s.back = make(chan struct{})
		s.tell(true)
	}
}

// answered notes a try that the store did as it was asked, or refused for good.
func (s *storeHealth) answered() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forget()
}

// over notes that a transfer that had failed has ended. Without any nobody would
// notice that the store is back: the next job finds out.
func (s *storeHealth) over() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.waiting--; s.waiting == 0 {
		s.forget()
	}
}

func (s *storeHealth) forget() {
	if s.back != nil {
		close(s.back)
		s.back = nil
		s.tell(false)
	}
}

func (s *storeHealth) tell(away bool) {
	if s.turned != nil {
		s.turned(away)
	}
}

func (s *storeHealth) away() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.back != nil
}

// wait returns when the store is not away, or with ctx's error.
func (s *storeHealth) wait(ctx context.Context) error {
	for {
		s.mu.Lock()
		back := s.back
		s.mu.Unlock()
		if back == nil {
			return ctx.Err()
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-back:
		}
	}
}
