package jobqueue

import (
	"context"
	"sync"
)

// workers runs a bounded number of functions at once; do blocks while all are
// busy, so that messages wait where they are counted.
type workers struct {
	slots chan struct{}
	group sync.WaitGroup
}

func newWorkers(n int) *workers { return &workers{slots: make(chan struct{}, n)} }

// do runs f in the background, or not at all once ctx has ended: then it returns false.
func (w *workers) do(ctx context.Context, f func()) bool {
	if ctx.Err() != nil {
		return false
	}
	select {
	case w.slots <- struct{}{}:
	case <-ctx.Done():
		return false
	}
	w.group.Go(func() {
		defer func() { <-w.slots }()
		f()
	})
	return true
}

func (w *workers) wait() { w.group.Wait() }
