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
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var pulling sync.WaitGroup
	for range 8 {
		puller := executor.NewPuller()
		puller.SetPools(map[string]int{"amd64-strong": 0})
		pulling.Go(func() {
			for {
				o, err := puller.Next(ctx)
				if err != nil {
					return
				}
				if err := o.Ack(); err != nil {
					t.Error(err)
				}
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

// TestIdle: what a reconciler concludes from must be what the server says.
func TestIdle(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t, "e1")
	q := server.Gateway(t, nil)
	if err := q.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	ensurePool(t, q, "amd64-strong")
	until := func(want jobqueue.Idle) {
		t.Helper()
		for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
			got, err := q.Idle(t.Context(), "amd64-strong", schemas.LaneBatch)
			if err != nil {
				t.Fatal(err)
			}
			if got == want {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("the lane is %+v, want %+v", got, want)
			}
		}
	}
	until(jobqueue.Idle{})
	puller := server.Executor(t, "e1", nil).NewPuller()
	puller.SetPools(map[string]int{"amd64-strong": 0})
	delivered := make(chan *jobqueue.Offer, 1)
	go func() {
		if o, err := puller.Next(t.Context()); err == nil {
			delivered <- o
		}
	}()
	until(jobqueue.Idle{Pulls: 1})
	offer(t, q, place(t, "amd64-strong", schemas.LaneBatch))
	o := <-delivered
	until(jobqueue.Idle{Unacked: true})
	if err := o.Ack(); err != nil {
		t.Fatal(err)
	}
	until(jobqueue.Idle{})
}
