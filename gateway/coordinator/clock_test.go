package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestClockSetBack: a job that waits for its next attempt does not wait for a
// clock to catch up that was set back meanwhile.
func TestClockSetBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		jump time.Duration
		// anew: a gateway that has not seen the job before goes on with it.
		anew bool
	}{
		"by an hour":                  {-time.Hour, false},
		"by an hour, another gateway": {-time.Hour, true},
		"forward":                     {time.Hour, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var jump atomic.Int64
			clock := func(c *coordinator.Config) {
				quick(c)
				c.Now = func() time.Time { return time.Now().Add(time.Duration(jump.Load())) }
			}
			w := newWorld(t, "one")
			g := w.gateway(clock)
			failed := make(chan struct{}, 1)
			w.executor("one", 1, func(e *fakeExecutor) {
				e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
					if a.Attempt > 1 {
						return e.succeed(ctx, a)
					}
					failed <- struct{}{}
					return schemas.EventFailed, schemas.Event{Failure: schemas.NewFailure(schemas.FailGuest, "it broke")}
				}
			})
			rec := w.submit(g, spec())
			<-failed
			w.wait(g, rec, schemas.StateQueued)
			jump.Store(int64(c.jump))
			if c.anew {
				g.stop()
				g = w.gateway(clock)
			}
			if rec = w.wait(g, rec, schemas.StateSucceeded); len(rec.Attempts) != 2 {
				t.Errorf("%d attempts, want 2", len(rec.Attempts))
			}
		})
	}
}
