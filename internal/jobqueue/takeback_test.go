package jobqueue_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// TestTakeBackLeavesOtherOffers: offers are taken back while others come and
// go, and every one of those is delivered.
func TestTakeBackLeavesOtherOffers(t *testing.T) {
	t.Parallel()
	const publishers, each = 8, 150
	server := queuetest.Start(t, "e1")
	q := server.Gateway(t, nil)
	if err := q.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	ensurePool(t, q, "amd64-strong")
	executor := server.Executor(t, "e1", nil)
	seen := make(chan string, 4*publishers*each)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var pulling sync.WaitGroup
	for range 8 {
		puller := executor.NewPuller()
		puller.SetPools([]string{"amd64-strong"})
		pulling.Go(func() {
			for {
				o, err := puller.Next(ctx)
				if err != nil {
					return
				}
				if err := o.Ack(); err != nil {
					t.Error(err)
				}
				seen <- o.Job
			}
		})
	}
	var publishing sync.WaitGroup
	for range publishers {
		publishing.Go(func() {
			var last jobqueue.Place
			for i := range each {
				p := place(t, "amd64-strong", schemas.LaneInteractive)
				offer(t, q, p)
				if i > 0 {
					// Delivered and acknowledged most likely, or about to be.
					if err := q.TakeBack(t.Context(), last); err != nil {
						t.Error(err)
					}
				}
				last = p
				seen <- ""
			}
		})
	}
	publishing.Wait()
	// What was taken back in time is gone; what is left must be delivered.
	deadline := time.After(jobqueue.AckWait / 2)
	for {
		left, err := q.Offered(t.Context(), "amd64-strong", schemas.LaneInteractive)
		if err != nil {
			t.Fatal(err)
		}
		if len(left) == 0 {
			break
		}
		select {
		case <-deadline:
			t.Fatalf("%d offers lie in the stream and are not delivered", len(left))
		case <-time.After(10 * time.Millisecond):
		}
	}
	stop()
	pulling.Wait()
}
