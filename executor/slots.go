package executor

import (
	"context"
	"sync"
)

// slots bounds how many jobs run at once.
type slots struct {
	free chan struct{}
	busy sync.WaitGroup
}

func newSlots(n int) *slots {
	s := &slots{free: make(chan struct{}, n)}
	for range n {
		s.free <- struct{}{}
	}
	return s
}

// take waits for a free slot until ctx ends.
func (s *slots) take(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-s.free:
		s.busy.Add(1)
		return nil
	}
}

func (s *slots) give() {
	s.free <- struct{}{}
	s.busy.Done()
}

// waitAll returns when no slot is taken. Nobody may take one any more.
func (s *slots) waitAll() { s.busy.Wait() }
