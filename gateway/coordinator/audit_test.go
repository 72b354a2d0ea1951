package coordinator_test

import (
	"errors"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// vanish takes a job away as if it was removed while every gateway's watch was
// away: nobody is told.
func (w *world) vanish(recs ...schemas.Record) {
	w.Helper()
	bucket := w.queues.Gateway(w, nil).Jobs
	for _, rec := range recs {
		key := schemas.RecordKey(rec.Tenant, rec.ID)
		e, err := bucket.Get(w.Context(), key)
		if err == nil {
			err = bucket.Free(w.Context(), key, e.Revision)
		}
		if err != nil {
			w.Fatal(err)
		}
	}
}

// TestAudit finds what is gone, of which the watch did not tell.
func TestAudit(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(func(c *coordinator.Config) { c.Audit = 20 * time.Millisecond })
	w.flawed("e1")
	gone, stays := w.wait(g, w.submit(g, spec()), schemas.StateDead), w.wait(g, w.submit(g, spec()), schemas.StateDead)
	w.vanish(gone)
	w.eventually("one dead job is left", func() bool { return g.Counts(gone.Tenant)[schemas.StateDead] == 1 })
	if all := w.all(g); len(all) != 1 || all[0].ID != stays.ID {
		t.Fatalf("left: %+v", all)
	}
}

// TestReadingMendsTheIndex: without an audit.
func TestReadingMendsTheIndex(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.flawed("e1")
	rec := w.wait(g, w.submit(g, spec()), schemas.StateDead)
	w.vanish(rec)
	if _, err := g.Get(t.Context(), rec.Tenant, rec.ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	if n := g.Counts(rec.Tenant)[schemas.StateDead]; n != 0 {
		t.Errorf("%d dead jobs are counted", n)
	}
}

// TestMadeAgainUnseen: a key made another job before anybody heard that its first was gone.
func TestMadeAgainUnseen(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g, other := w.gateway(nil), w.gateway(nil)
	w.flawed("e1")
	s := spec()
	s.IdempotencyKey, s.Labels = "once", map[string]string{"life": "first"}
	rec := w.wait(g, w.submit(g, s), schemas.StateDead)
	w.wait(other, rec, schemas.StateDead)
	w.vanish(rec)
	s.Labels = map[string]string{"life": "second"}
	again := w.wait(g, w.submit(g, s), schemas.StateDead)
	for _, g := range []*gateway{g, other} {
		w.eventually("the second is found by its label", func() bool {
			list, _, err := g.List(t.Context(), rec.Tenant, coordinator.Filter{Labels: s.Labels}, "", 10)
			return err == nil && len(list) == 1 && list[0].CreatedUS == again.CreatedUS && g.Counts(rec.Tenant)[schemas.StateDead] == 1
		})
	}
}
