package coordinator_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestNothingComesBack: a server that was killed finds records on its disk again that
// had left the bucket, as they were while their jobs were queued. Nobody takes them for
// jobs: neither while these are in history, nor after they have gone from there.
func TestNothingComesBack(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	quickAudit := func(c *coordinator.Config) { clock.config(c); c.Audit = 50 * time.Millisecond }
	g := w.gateway(clock.config)
	const waiting = 5
	for range waiting {
		w.submit(g, spec())
	}
	recs := w.endSome(g, schemas.MaxHistoryJobs, keyed)
	clock.pass(2 * time.Minute)
	w.moved(waiting)

	w.server.Crash(t)
	if n := w.inBucket(w.queues.Gateway(t, w.log)); n == waiting {
		t.Error("nothing is back, so nothing is tested: the server may be mended")
	}
	for _, g := range []*gateway{g, w.gateway(clock.config)} {
		w.eventually("the gateway is ready", func() bool { return g.Ready() == nil })
		if counts := g.Counts(schemas.SingleTenant); counts[schemas.StateCancelled] != len(recs) || counts[schemas.StateQueued] != waiting || len(counts) != 2 {
			t.Errorf("jobs by state: %v", counts)
		}
		for _, i := range []int{0, 7, 255} {
			if got, err := g.Get(t.Context(), recs[i].Tenant, recs[i].ID); err != nil || got.State != schemas.StateCancelled {
				t.Errorf("job %d is %s, %v", i, got.State, err)
			}
		}
		s := spec()
		keyed(9, &s)
		if again, created, err := g.Submit(t.Context(), submission(s)); err != nil || created || again.CreatedUS != recs[9].CreatedUS || again.State != schemas.StateCancelled {
			t.Errorf("the key of a job gives %+v, %t, %v", again, created, err)
		}
	}
	w.gateway(quickAudit)
	w.moved(waiting)

	clock.pass(2 * time.Hour)
	cut := coordinator.Cutoffs{Records: clock.now(), Purged: clock.now()}
	due := g.DuePages(cut, 10)
	if len(due) != 1 {
		t.Fatalf("due: %+v", due)
	}
	if _, n, err := g.ExpirePage(t.Context(), due[0], cut); err != nil || n != len(recs) {
		t.Fatalf("%d expired, %v", n, err)
	}
	q := w.queues.Gateway(t, w.log)
	w.eventually("the keys are free", func() bool {
		markers, err := q.Jobs.Markers(t.Context())
		return err == nil && len(markers) == len(recs) && !slices.ContainsFunc(recs, func(rec schemas.Record) bool {
			marker, err := q.Jobs.Look(t.Context(), schemas.RecordKey(rec.Tenant, rec.ID))
			return err != nil || len(marker.Value) == 0
		})
	})
	w.server.Crash(t)
	late := w.gateway(quickAudit)
	w.eventually("the gateway is ready", func() bool { return late.Ready() == nil })
	if counts := late.Counts(schemas.SingleTenant); counts[schemas.StateQueued] != waiting || len(counts) != 1 {
		t.Errorf("jobs by state: %v", counts)
	}
	if got, err := late.Get(t.Context(), recs[3].Tenant, recs[3].ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("a job that has gone is %+v, %v", got, err)
	}
	s := spec()
	keyed(11, &s)
	w.eventually("the key is free", func() bool {
		rec, created, err := late.Submit(t.Context(), submission(s))
		if err != nil && !errors.Is(err, coordinator.ErrRemoving) {
			t.Fatal(err)
		}
		return created && rec.ID == recs[11].ID && rec.State == schemas.StateQueued
	})
}
