package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestThousandJobs: two gateways, eight executors; every job runs exactly once.
func TestThousandJobs(t *testing.T) {
	t.Parallel()
	const executors, jobs, clients = 8, 1000, 8
	var ids []string
	for i := range executors {
		ids = append(ids, fmt.Sprintf("e%d", i))
	}
	w := newWorld(t, ids...)
	gateways := []*gateway{w.gateway(nil), w.gateway(nil)}
	var mu sync.Mutex
	ran := map[string]int{}
	for _, id := range ids {
		w.executor(id, 2, func(e *fakeExecutor) {
			e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
				mu.Lock()
				ran[a.Job]++
				mu.Unlock()
				return e.succeed(ctx, a)
			}
		})
	}
	var group sync.WaitGroup
	for client := range clients {
		group.Go(func() {
			g, other := gateways[client%2], gateways[(client+1)%2]
			for i := range jobs / clients {
				s := spec()
				if i%3 == 0 {
					s.Lane = schemas.LaneBatch
				}
				rec := w.submit(g, s)
				if rec = w.wait(other, rec, schemas.StateSucceeded, schemas.StateDead); rec.State != schemas.StateSucceeded || len(rec.Attempts) != 1 {
					t.Errorf("record = %+v", rec)
				}
			}
		})
	}
	group.Wait()
	mu.Lock()
	defer mu.Unlock()
	if len(ran) != jobs {
		t.Errorf("%d jobs ran, want %d", len(ran), jobs)
	}
	for id, n := range ran {
		if n != 1 {
			t.Errorf("job %s ran %d times", id, n)
		}
	}
	for _, g := range gateways {
		w.eventually("both gateways know the end", func() bool {
			return g.Counts(schemas.SingleTenant)[schemas.StateSucceeded] == jobs
		})
	}
}

func TestGatewayRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	running, waiting := w.submit(g, spec()), w.submit(g, spec())
	a := w.granted(e, running)
	g.stop()
	e.report(a.Held, schemas.EventResult, e.result(a, 0))
	g = w.gateway(nil)
	if rec := w.wait(g, running, schemas.StateSucceeded); len(rec.Attempts) != 1 {
		t.Errorf("record = %+v", rec)
	}
	w.finish(e, w.granted(e, waiting))
	w.wait(g, waiting, schemas.StateSucceeded)
}

func TestServerRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(func(c *coordinator.Config) { c.Reconcile = 300 * time.Millisecond })
	w.executor("e1", 1, nil)
	w.wait(g, w.submit(g, spec()), schemas.StateSucceeded)
	w.server.Restart(t)
	w.eventually("connected again", func() bool { return g.Ready() == nil })
	var rec schemas.Record
	w.eventually("submitted", func() bool {
		var err error
		rec, _, err = g.Submit(t.Context(), submission(spec()))
		return err == nil
	})
	if rec = w.wait(g, rec, schemas.StateSucceeded); len(rec.Attempts) != 1 {
		t.Errorf("record = %+v", rec)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gateways := []*gateway{w.gateway(nil), w.gateway(nil)}
	s := spec()
	s.IdempotencyKey = "order 66"
	const clients = 16
	ids := make([]string, clients)
	created := make([]bool, clients)
	var group sync.WaitGroup
	for i := range clients {
		group.Go(func() {
			rec, first, err := gateways[i%2].Submit(t.Context(), submission(s))
			if err != nil {
				t.Error(err)
			}
			ids[i], created[i] = rec.ID, first
		})
	}
	group.Wait()
	n := 0
	for i := range clients {
		if ids[i] != ids[0] {
			t.Errorf("job %s, want %s", ids[i], ids[0])
		}
		if created[i] {
			n++
		}
	}
	if n != 1 {
		t.Errorf("created %d times", n)
	}
	other := s
	other.Args = []string{"false"}
	if rec, _, err := gateways[0].Submit(t.Context(), submission(other)); !errors.Is(err, coordinator.ErrKeyReused) {
		t.Errorf("another request under the key = %s, %v", rec.ID, err)
	}
	rec, err := gateways[0].Get(t.Context(), schemas.SingleTenant, ids[0])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := gateways[1].SpecOf(t.Context(), rec.Tenant, rec.ID); err != nil || got.Args[0] != "true" {
		t.Errorf("the first specification is now %v, %v", got.Args, err)
	}
	elsewhere := submission(s)
	elsewhere.Tenant = "other"
	if rec, first, err := gateways[0].Submit(t.Context(), elsewhere); err != nil || !first || rec.ID == ids[0] {
		t.Errorf("another tenant's key = %s, %v, %v", rec.ID, first, err)
	}
}

func TestTooMany(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(func(c *coordinator.Config) { c.Limits.Default.Queued, c.Limits.Default.Pools = 3, 2 })
	arch := func(a string) schemas.JobSpec {
		s := spec()
		s.Requires.Arch = a
		return s
	}
	w.submit(g, arch("amd64"))
	w.submit(g, arch("arm64"))
	if _, _, err := g.Submit(t.Context(), submission(arch("riscv64"))); !errors.Is(err, coordinator.ErrTooMany) {
		t.Errorf("a third pool: %v", err)
	}
	w.submit(g, arch("amd64"))
	if _, _, err := g.Submit(t.Context(), submission(arch("amd64"))); !errors.Is(err, coordinator.ErrTooMany) {
		t.Errorf("a fourth job: %v", err)
	}
}

func TestList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	var ids []string
	for i := range 7 {
		s := spec()
		s.Labels = map[string]string{"odd": fmt.Sprint(i%2 == 1)}
		ids = append([]string{w.submit(g, s).ID}, ids...)
	}
	if _, err := g.Cancel(t.Context(), schemas.SingleTenant, ids[0]); err != nil {
		t.Fatal(err)
	}
	all := func(f coordinator.Filter) (got []string) {
		for after := ""; ; {
			recs, next, err := g.List(t.Context(), schemas.SingleTenant, f, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, r := range recs {
				got = append(got, r.ID)
			}
			if after = next; after == "" {
				return got
			}
		}
	}
	expect := func(f coordinator.Filter, want ...string) {
		t.Helper()
		if got := all(f); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("List(%v) = %v, want %v", f, got, want)
		}
	}
	expect(coordinator.Filter{}, ids...)
	expect(coordinator.Filter{States: []schemas.State{schemas.StateCancelled}}, ids[0])
	expect(coordinator.Filter{Labels: map[string]string{"odd": "true"}}, ids[1], ids[3], ids[5])
	expect(coordinator.Filter{Labels: map[string]string{"none": ""}})
	if recs, _, err := g.List(t.Context(), "other", coordinator.Filter{}, "", 10); err != nil || len(recs) != 0 {
		t.Errorf("another tenant's list = %v, %v", recs, err)
	}
	if _, _, err := g.List(t.Context(), schemas.SingleTenant, coordinator.Filter{}, "x", 10); !errors.Is(err, coordinator.ErrCursor) {
		t.Errorf("a false cursor = %v", err)
	}
}
