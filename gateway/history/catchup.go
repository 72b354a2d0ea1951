package history

import (
	"context"
	"fmt"
	"sync"
	"time"
)

const (
	catchUpPoll  = 5 * time.Millisecond
	catchUpAgain = time.Second
)

// CatchUp returns once every page is known that was there when it was called, as
// the bucket's leader says.
func (h *History) CatchUp(ctx context.Context) error {
	for {
		last, err := h.rounds.ask(ctx, h.bucket.Last)
		if err != nil {
			return err
		}
		for until := time.Now().Add(catchUpAgain); time.Now().Before(until); {
			if last == 0 || h.seen.Load() >= last && h.Loaded() {
				return nil
			}
			select {
			case <-ctx.Done():
				return fmt.Errorf("catch up with page %d of history: %w", last, ctx.Err())
			case <-time.After(catchUpPoll):
			}
		} // what was last then may be gone before the watch came to it
	}
}

// rounds have many who ask the same question at the same time share an answer: that
// to a question that was asked after theirs.
type rounds struct {
	mu sync.Mutex
	// next is yet to be asked; asking is set while somebody does.
	next   *round
	asking bool
}

type round struct {
	done chan struct{}
	last uint64
	err  error
}

// roundTimeout bounds one question.
const roundTimeout = 10 * time.Second

func (r *rounds) ask(ctx context.Context, question func(context.Context) (uint64, error)) (uint64, error) {
	mine := r.join(question)
	select {
	case <-mine.done:
		return mine.last, mine.err
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

func (r *rounds) join(question func(context.Context) (uint64, error)) *round {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.next == nil {
		r.next = &round{done: make(chan struct{})}
	}
	if !r.asking {
		r.asking = true
		go r.run(question)
	}
	return r.next
}

// run asks until nobody has a question any more.
func (r *rounds) run(question func(context.Context) (uint64, error)) {
	for {
		r.mu.Lock()
		now := r.next
		if r.next = nil; now == nil {
			r.asking = false
			r.mu.Unlock()
			return
		}
		r.mu.Unlock()
		ctx, cancel := context.WithTimeout(context.Background(), roundTimeout)
		now.last, now.err = question(ctx)
		cancel()
		close(now.done)
	}
}
