package retention_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// whole fails if any record names an object that is not there.
func (w *world) whole() {
	w.Helper()
	seen := 0
	ctx, cancel := context.WithCancel(w.Context())
	defer cancel()
	err := w.queue.Jobs.Watch(ctx, w.wholeRecord(&seen), cancel)
	if err != nil {
		w.Fatal(err)
	}
}

// TestCrashWhileRemoving: after a crash between any two steps a sweep leaves
// nothing of the job, and its key is free.
func TestCrashWhileRemoving(t *testing.T) {
	t.Parallel()
	objects := 1 + len(schemas.AttemptObjects)
	for deletes := range objects + 1 {
		w := newWorld(t) // where no horizon has passed the job before it is made
		mortal := w.mortal(deletes)
		g := w.gateway(mortal)
		rec := w.job(31*day, func(r *schemas.Record) { r.PurgedUS = w.us(day) })
		if n := w.expire(g); n != 1 {
			t.Fatalf("%d expired", n)
		}
		if deletes < objects {
			<-mortal.died
		} else {
			w.free(rec)
		}
		g.stop()
		w.whole()
		g = w.gateway(w.store)
		w.later(2 * time.Hour)
		w.sweep(g, time.Hour)
		w.whole()
		if keys := w.keys(); len(keys) > 0 {
			t.Errorf("after %d deletions and a sweep: %v", deletes, keys)
		}
		if !w.isFree(schemas.RecordKey(tenant, rec.ID)) {
			t.Errorf("after %d deletions and a sweep the key is still taken", deletes)
		}
		g.stop()
	}
}

// TestCrashWhileSweeping: the next sweep does the rest.
func TestCrashWhileSweeping(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for deletes := range 4 {
		rec := w.job(8*day, func(r *schemas.Record) { r.PurgedUS = w.us(day) })
		lost := w.job(time.Hour, nil)
		w.put(schemas.AttemptKey(tenant, lost.ID, 2, schemas.ObjectResult), "late")
		w.later(2 * time.Hour)
		g := w.gateway(w.mortal(deletes))
		report := w.sweep(g, time.Hour)
		if deletes < 3 && report.Failed == 0 {
			t.Errorf("with %d deletions: %+v", deletes, report)
		}
		g.stop()
		w.whole()
		g = w.gateway(w.store)
		w.sweep(g, time.Hour)
		w.whole()
		for _, key := range w.keys() {
			if p := schemas.AttemptKey(tenant, rec.ID, 1, ""); len(key) > len(p) && key[:len(p)] == p {
				t.Errorf("left of the purged job: %s", key)
			}
		}
		if w.has(schemas.AttemptKey(tenant, lost.ID, 2, schemas.ObjectResult)) {
			t.Error("left of the lost attempt")
		}
		g.stop()
	}
}

// cutOff is a store whose caller dies right after it has stored something.
type cutOff struct {
	objstore.Store
	die context.CancelFunc
}

func (c cutOff) Put(ctx context.Context, key string, r io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	info, err := c.Store.Put(ctx, key, r, o)
	c.die()
	return info, errors.Join(err, errDead)
}

// TestCrashWhileSubmitting: a specification without a record goes, but not before
// its record may be there.
func TestCrashWhileSubmitting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	g := w.gateway(cutOff{w.store, cancel})
	if _, err := w.submit(g, "", ""); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	<-ctx.Done()
	g.stop()
	g = w.gateway(w.store)
	if report := w.sweep(g, time.Hour); report.Young.Objects != 1 || len(w.keys()) != 1 {
		t.Errorf("at once: %+v", report)
	}
	w.later(time.Hour)
	if report := w.sweep(g, time.Hour); report.Total().Objects != 1 || len(w.keys()) != 0 {
		t.Errorf("an hour later: %+v", report)
	}
}
