package coordinator_test

import (
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// ends notes what a coordinator's OnEnded is told, by job.
type ends struct {
	mu    sync.Mutex
	here  map[string]int
	heard map[string]int
	// revisions are those of the terminal records.
	revisions map[string]uint64
}

func (e *ends) note(rec schemas.Record, rev uint64, here bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.revisions == nil {
		e.revisions = map[string]uint64{}
	}
	if was := e.revisions[rec.ID]; rev == 0 || was != 0 && was != rev {
		e.heard["two revisions: "+rec.ID]++
	}
	e.revisions[rec.ID] = rev
	if e.here == nil {
		e.here, e.heard = map[string]int{}, map[string]int{}
	}
	if !rec.State.Terminal() || rec.EndedUS == 0 {
		e.heard["not ended: "+rec.ID]++
	}
	if here {
		e.here[rec.ID]++
	} else {
		e.heard[rec.ID]++
	}
}

func (e *ends) of(job string) (here, heard int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.here[job], e.heard[job]
}

// TestEveryEndIsTold: at once by the gateway that ended the job, to every gateway,
// and again to one that starts later.
func TestEveryEndIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	var first, second, third ends
	one := w.gateway(func(c *coordinator.Config) { c.OnEnded = first.note })
	w.gateway(func(c *coordinator.Config) { c.OnEnded = second.note })
	w.executor("e1", 1, nil)
	ran := w.wait(one, w.submit(one, spec()), schemas.StateSucceeded)
	w.eventually("both gateways heard of the end, one of its own", func() bool {
		here1, heard1 := first.of(ran.ID)
		here2, heard2 := second.of(ran.ID)
		return here1+here2 == 1 && heard1 == 1 && heard2 == 1
	})
	w.gateway(func(c *coordinator.Config) { c.OnEnded = third.note })
	if here, heard := third.of(ran.ID); here != 0 || heard != 1 {
		t.Errorf("a gateway that starts later is told %d and %d times", here, heard)
	}
}

func TestCancelledWhileQueuedIsTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var told ends
	g := w.gateway(func(c *coordinator.Config) { c.OnEnded = told.note })
	rec := w.submit(g, spec())
	if here, heard := told.of(rec.ID); here+heard != 0 {
		t.Errorf("a queued job is told of: %d, %d", here, heard)
	}
	if _, err := g.Cancel(w.Context(), rec.Tenant, rec.ID); err != nil {
		t.Fatal(err)
	}
	if here, _ := told.of(rec.ID); here != 1 {
		t.Errorf("told %d times at once", here)
	}
}

// TestCallbackIsTheGatewaysAlone: it may hold a secret, and executors may be anybody's.
func TestCallbackIsTheGatewaysAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	granted := make(chan attempt, 1)
	w.executor("e1", 1, func(e *fakeExecutor) {
		e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			granted <- a
			return e.succeed(ctx, a)
		}
	})
	s := spec()
	s.Callback = &schemas.Callback{URL: "https://example.org/done?token=hidden"}
	rec := w.wait(g, w.submit(g, s), schemas.StateSucceeded)
	if rec.Callback != s.Callback.URL {
		t.Errorf("record has callback %q", rec.Callback)
	}
	if a := <-granted; a.grant.Spec.Callback != nil {
		t.Errorf("the executor was granted %+v", a.grant.Spec)
	}
	stored := string(rec.SpecInline)
	if rec.SpecInline == nil {
		stored = w.object(rec.SpecKey())
	}
	if strings.Contains(stored, "hidden") || !strings.Contains(stored, "busybox") {
		t.Errorf("stored: %s", stored)
	}
}
