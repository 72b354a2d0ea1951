package retention_test

import (
	"errors"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// bytesOf is what a gateway says that the tenant has.
func (w *world) bytesOf(g *gateway) int64 {
	w.Helper()
	u, err := g.Usage(tenant)
	if err != nil {
		w.Fatal(err)
	}
	return u.StoredBytes
}

// inStore is what the tenant really has.
func (w *world) inStore() (bytes int64) {
	w.Helper()
	for _, key := range w.keys() {
		info, err := w.store.Stat(w.Context(), key)
		if err != nil {
			w.Fatal(err)
		}
		bytes += info.Size
	}
	return bytes
}

// counts waits until a gateway says that the tenant has so much: what others wrote comes to it in a moment.
func (w *world) counts(g *gateway, want int64) {
	w.Helper()
	for deadline := time.Now().Add(time.Minute); w.bytesOf(g) != want; time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("the gateway counts %d bytes, want %d", w.bytesOf(g), want)
		}
	}
}

// TestBytesBetweenSweeps: every gateway counts what jobs leave, also one that
// starts later; a sweep of any tells all what there really is.
func TestBytesBetweenSweeps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	one, two := w.gateway(w.store), w.gateway(w.store)
	w.blob("counted by a sweep alone")
	w.job(0, nil)
	w.later(time.Hour)
	w.sweep(one, time.Minute)
	base := w.inStore()
	w.counts(one, base)
	w.counts(two, base)
	if u, err := two.Usage(tenant); err != nil || u.CountedUS == 0 || u.Queued != 0 || u.Running != 0 {
		t.Errorf("usage = %+v, %v", u, err)
	}

	w.later(time.Minute)
	w.job(0, nil)
	if w.inStore() == base {
		t.Fatal("the job left nothing")
	}
	w.counts(one, w.inStore())
	w.counts(two, w.inStore())
	one.stop()
	again := w.gateway(w.store) // it has seen nothing of this happen
	w.counts(again, w.inStore())

	// An input is known to the gateway that took it, and to all after a sweep.
	const size = 5
	if err := again.Reserve(tenant, size); err != nil {
		t.Fatal(err)
	}
	before := w.inStore()
	w.blob("12345")
	again.Settle(tenant, size, size)
	w.counts(again, before+size)
	w.counts(two, before)
	w.later(time.Minute)
	w.sweep(two, 0)
	w.counts(again, before+size)
	w.counts(two, before+size)
}

// TestUploadsUnderWayWhileSwept: a sweep neither forgets what they may store, nor
// makes room of what they have not stored in the end.
func TestUploadsUnderWayWhileSwept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	g.SetLimits(coordinator.LimitTable{Tenants: map[string]coordinator.Limits{tenant: {StoredBytes: 100}}})
	w.caughtUp(g)
	const size = 90
	if err := g.Reserve(tenant, size); err != nil {
		t.Fatal(err)
	}
	w.later(time.Minute)
	w.sweep(g, 0)
	if err := g.Reserve(tenant, size); !errors.Is(err, coordinator.ErrTooMuchStored) {
		t.Errorf("the room of an upload that hangs is given again: %v", err)
	}
	w.later(time.Minute)
	g.Settle(tenant, size, 0)
	w.blob("1234567890")
	if err := g.Reserve(tenant, 10); err != nil {
		t.Fatal(err)
	}
	g.Settle(tenant, 10, 10)
	w.counts(g, w.inStore())
}

// TestCapOnStoredBytes: over it nothing new is taken, and nothing of it is left;
// what goes makes room, and so does a higher cap, at once.
func TestCapOnStoredBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	limit := func(most int64) {
		g.SetLimits(coordinator.LimitTable{Tenants: map[string]coordinator.Limits{tenant: {StoredBytes: most}}})
	}
	limit(10)
	w.caughtUp(g)
	var full *coordinator.FullError
	_, err := w.submit(g, "", "") // its specification alone is larger
	if !errors.As(err, &full) || !errors.Is(err, coordinator.ErrTooMuchStored) || full.After < time.Minute || full.After > time.Hour {
		t.Fatalf("Submit = %v", err)
	}
	if keys := w.keys(); len(keys) != 0 {
		t.Errorf("the refused submission left %v", keys)
	}
	if counts := g.Counts(tenant); len(counts) != 0 {
		t.Errorf("the refused submission left jobs: %v", counts)
	}

	limit(1 << 20)
	rec, err := w.submit(g, "", "")
	if err != nil {
		t.Fatal(err)
	}
	w.counts(g, rec.Spec.Size)
	w.job(0, nil) // what ends is counted, over the cap, too
	limit(rec.Spec.Size)
	w.counts(g, w.inStore())
	if _, err := w.submit(g, "", ""); !errors.Is(err, coordinator.ErrTooMany) {
		t.Errorf("Submit over the cap = %v", err)
	}
	if err := g.Reserve(tenant, 0); !errors.Is(err, coordinator.ErrTooMuchStored) {
		t.Errorf("Reserve over the cap = %v", err)
	}
	if err := g.Reserve("bob", 1<<40); err != nil {
		t.Errorf("another tenant, without a cap: %v", err)
	}
}

// TestRemovedJobsMakeRoom: before any sweep, and once.
func TestRemovedJobsMakeRoom(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	w.later(time.Hour)
	w.sweep(g, 0)
	w.later(time.Minute)
	dead := w.job(0, func(r *schemas.Record) { r.State, r.Outcome, r.Result, r.Archive = schemas.StateDead, nil, nil, nil })
	w.job(0, nil)
	w.caughtUp(g)
	before := w.bytesOf(g)
	if _, err := g.Drop(t.Context(), tenant, dead.ID); err != nil {
		t.Fatal(err)
	}
	w.counts(g, before-dead.Spec.Size)
	w.free(dead)
	w.later(time.Minute)
	w.sweep(g, 0)
	w.counts(g, w.inStore())
}
