package coordinator_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// crowd counts how many attempts run at the same time.
type crowd struct {
	mu        sync.Mutex
	now, most int
}

func (c *crowd) enter() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now++
	c.most = max(c.most, c.now)
}

func (c *crowd) leave() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now--
}

// TestRunningCapIsKept: exactly by one gateway; by two, at the very worst each for itself.
func TestRunningCapIsKept(t *testing.T) {
	t.Parallel()
	const most, jobs = 2, 30
	for gateways := 1; gateways <= 2; gateways++ {
		w := newWorld(t, "e1")
		capped := func(c *coordinator.Config) { quick(c); c.Lease = time.Minute; c.Limits.Default.Running = most }
		var all []*gateway
		for range gateways {
			all = append(all, w.gateway(capped))
		}
		var running crowd
		w.executor("e1", 8, func(e *fakeExecutor) {
			e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
				running.enter()
				defer running.leave()
				return e.succeed(ctx, a)
			}
		})
		var recs []schemas.Record
		for i := range jobs {
			recs = append(recs, w.submit(all[i%gateways], spec()))
		}
		for _, rec := range recs {
			if rec = w.wait(all[0], rec, schemas.StateSucceeded); len(rec.Attempts) != 1 {
				t.Errorf("record = %+v", rec)
			}
		}
		if running.most > most*gateways {
			t.Errorf("%d gateways let %d jobs run at once, %d may", gateways, running.most, most)
		}
	}
}

// TestHeldBackSaysWhy: a job beyond the cap waits, its reason is told, and a higher cap frees it.
func TestHeldBackSaysWhy(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(func(c *coordinator.Config) { c.Limits.Default.Running = 1 })
	e := w.idle("e1", nil)
	first, second := w.submit(g, spec()), w.submit(g, spec())
	a := w.granted(e, first)
	if why := g.Waiting(second); !strings.Contains(why, "as many as it may at one time") {
		t.Errorf("waiting = %q", why)
	}
	if reply := w.mustClaim(e, second, "n"); reply.Answer != schemas.AnswerBusy {
		t.Errorf("a claim beyond the cap is answered %s", reply.Answer)
	}
	g.SetLimits(coordinator.LimitTable{Default: coordinator.Limits{Running: 2}})
	if why := g.Waiting(second); why != "" {
		t.Errorf("waiting = %q", why)
	}
	w.finish(e, w.granted(e, second))
	w.finish(e, a)
	for _, rec := range []schemas.Record{first, second} {
		w.wait(g, rec, schemas.StateSucceeded)
	}
}

// TestFullSaysWhen: who has too much queued is told so before anything is
// stored, and the limits of one tenant are not those of another.
func TestFullSaysWhen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(func(c *coordinator.Config) {
		c.Limits.Tenants = map[string]coordinator.Limits{schemas.SingleTenant: {Queued: 1}}
	})
	w.submit(g, spec())
	large := spec()
	large.Env = map[string]string{"A": strings.Repeat("x", 8<<10)} // it would be an object
	_, _, err := g.Submit(t.Context(), submission(large))
	var full *coordinator.FullError
	if !errors.Is(err, coordinator.ErrTooMany) || !errors.As(err, &full) || full.After < time.Second || full.After > time.Minute {
		t.Errorf("Submit = %v", err)
	}
	if left, err := w.store.List(t.Context(), schemas.SingleTenant+"/", "", 0); err != nil || len(left) != 0 {
		t.Errorf("stored %+v, %v", left, err)
	}
	other := submission(spec())
	other.Tenant = "bob"
	for range 2 {
		if _, _, err := g.Submit(t.Context(), other); err != nil {
			t.Errorf("another tenant: %v", err)
		}
	}
	if l := g.Limits("bob"); l.Queued != 100_000 || l.Weight != 1 || l.Pools != 128 {
		t.Errorf("limits of bob %+v", l)
	}
}
