package retention_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// TestInputNobodyNeedsGoes, and not a moment before its time.
func TestInputNobodyNeedsGoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	key := schemas.InputKey(tenant, w.blob("x"))
	for _, step := range []struct {
		ahead time.Duration
		there bool
	}{{policy.Inputs - time.Minute, true}, {2 * time.Minute, false}} {
		w.later(step.ahead)
		report := w.sweep(g, time.Hour)
		if w.has(key) != step.there {
			t.Errorf("there %v after %+v", !step.there, report)
		}
	}
}

// TestInputInUseStays, however long its job waits, and while it is dead, as it
// may be brought back; then it goes.
func TestInputInUseStays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.Inputs = time.Hour
	g := w.gateway(w.store)
	sum := w.blob("x")
	key := schemas.InputKey(tenant, sum)
	rec, err := w.submit(g, sum, "")
	if err != nil {
		t.Fatal(err)
	}
	dead := w.job(0, func(r *schemas.Record) {
		r.State, r.Outcome, r.Result, r.Archive = schemas.StateDead, nil, nil, nil
	})
	spec := `{"files":{"a":{"sha256":"` + schemas.DigestPrefix + w.blob("y") + `"}}}`
	w.put(dead.SpecKey(), spec)
	w.spec(dead, spec)
	for range 3 {
		w.later(9 * day)
		w.sweep(g, 0)
		if keys := w.keys(); !w.has(key) || len(keys) != 4 {
			t.Fatalf("an input in use was collected; left %v", keys)
		}
	}
	if _, err := g.Cancel(t.Context(), tenant, rec.ID); err != nil {
		t.Fatal(err)
	}
	if err := g.Remove(t.Context(), tenant, dead.ID); err != nil {
		t.Fatal(err)
	}
	w.free(dead)
	w.sweep(g, 0)
	if keys := w.keys(); len(keys) != 1 {
		t.Errorf("after the jobs' ends: %v", keys)
	}
}

// spec makes the record name a specification of this content.
func (w *world) spec(rec schemas.Record, content string) {
	w.Helper()
	e, err := w.queue.Jobs.Get(w.Context(), schemas.RecordKey(rec.Tenant, rec.ID))
	if err != nil {
		w.Fatal(err)
	}
	rec.Spec = w.object("spec.json", content)
	if _, err := w.queue.Jobs.Update(w.Context(), e.Key, mustJSON(w, rec), e.Revision); err != nil {
		w.Fatal(err)
	}
}

// TestUnreadableSpecificationKeepsInputs: what can't be known is not concluded.
func TestUnreadableSpecificationKeepsInputs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	sum := w.blob("x")
	if _, err := w.submit(g, sum, ""); err != nil {
		t.Fatal(err)
	}
	g.stop()
	g = w.gateway(noGet{w.store})
	w.later(20 * day)
	if report, err := g.Sweep(t.Context(), retention.Options{}); !errors.Is(err, objstore.ErrUnavailable) || report.Done {
		t.Errorf("Sweep = %+v, %v", report, err)
	}
	if !w.has(schemas.InputKey(tenant, sum)) {
		t.Error("the input is gone")
	}
}

type noGet struct{ objstore.Store }

func (noGet) Get(context.Context, string, objstore.Range) (io.ReadCloser, objstore.Info, error) {
	return nil, objstore.Info{}, objstore.ErrUnavailable
}

// hooked calls before and after each deletion of an object.
type hooked struct {
	objstore.Store
	before, after func(key string)
}

func (h hooked) Delete(ctx context.Context, key string) error {
	h.before(key)
	err := h.Store.Delete(ctx, key)
	h.after(key)
	return err
}

// stored does what a gateway does once it has stored a blob, and reports whether the client is told that it is there.
func (w *world) stored(g *gateway, sum string) bool {
	if err := g.Inputs().Quiet(w.Context()); err != nil {
		w.Error(err)
	}
	return w.has(schemas.InputKey(tenant, sum))
}

// TestUploadWhileItsBlobIsDeleted: the schedule in which the sweep has seen that the
// old blob is old enough, then a client uploads it anew, and then the deletion
// takes effect. The client must not be told that its blob is there.
func TestUploadWhileItsBlobIsDeleted(t *testing.T) {
	t.Parallel()
	for name, hit := range map[string]struct{ before bool }{"before the deletion": {true}, "after the deletion": {false}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			other := w.gateway(w.store)
			key := schemas.InputKey(tenant, w.blob("x"))
			w.later(policy.Inputs + day)
			var uploading sync.WaitGroup
			told := make(chan bool, 1)
			put := func(string) {
				sum := w.blob("x")
				uploading.Go(func() { told <- w.stored(other, sum) })
			}
			store := hooked{w.store, func(string) {}, func(string) {}}
			if hit.before {
				store.before = put
			} else {
				store.after = put
			}
			w.sweep(w.gateway(store), 0)
			uploading.Wait()
			if there := <-told; there != w.has(key) {
				t.Errorf("the client was told that its blob is there: %v; it is: %v", there, !there)
			}
			if !w.stored(other, w.blob("x")) || !w.has(key) {
				t.Error("sent again, the blob is not there either")
			}
		})
	}
}

// TestUploadBeforeTheLastLook: a blob that was uploaded again after the listing stays.
func TestUploadBeforeTheLastLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	key := schemas.InputKey(tenant, w.blob("x"))
	w.later(policy.Inputs + day)
	g := w.gateway(w.store)
	once := sync.OnceFunc(func() { w.ahead.Store(0); w.blob("x"); w.later(policy.Inputs / 2) })
	report, err := g.Sweep(t.Context(), retention.Options{Progress: func(schemas.SweepReport) { once() }})
	if err != nil || report.Total().Objects != 0 || !w.has(key) {
		t.Errorf("Sweep = %+v, %v", report, err)
	}
}

// TestSubmissionAtTheLastMoment: its blob is as old as it may be, the submission
// takes as long as it may, and the sweep looks right before its record is there.
func TestSubmissionAtTheLastMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	sum := w.blob("x")
	uploaded := w.now()
	w.later(policy.Inputs/2 - time.Minute)
	if !g.Inputs().Usable(uploaded) || g.Inputs().Usable(w.now().Add(-policy.Inputs/2)) {
		t.Fatal("what is usable has another age than half")
	}
	until := g.Inputs().Until()
	w.later(policy.Inputs/8 + 2*time.Minute)
	w.sweep(g, 0)
	late := coordinator.Submission{Tenant: tenant, Spec: schemas.JobSpec{Image: "busybox"}.WithDefaults(), Until: until}
	if _, _, err := g.Submit(t.Context(), late); !errors.Is(err, coordinator.ErrTooSlow) {
		t.Errorf("a submission that took too long: %v", err)
	}
	w.later(-3 * time.Minute)
	if _, err := w.submit(g, sum, ""); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		w.later(policy.Inputs / 16)
		if w.sweep(g, 0); !w.has(schemas.InputKey(tenant, sum)) {
			t.Fatal("the input of a queued job is gone")
		}
	}
}

// TestOneSweepAtATime: a second one is told; one that died keeps others out for a while alone.
func TestOneSweepAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put("tmp/x", "")
	g, other := w.gateway(w.store), w.gateway(w.store)
	ctx, die := context.WithCancel(t.Context())
	_, err := g.Sweep(ctx, retention.Options{Progress: func(schemas.SweepReport) {
		if _, err := other.Sweep(t.Context(), retention.Options{}); !errors.Is(err, retention.ErrSweeping) {
			t.Errorf("a second sweep: %v", err)
		}
		if _, err := other.Sweep(t.Context(), retention.Options{DryRun: true}); err != nil {
			t.Errorf("a dry run beside a sweep: %v", err)
		}
		die()
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("a sweep that was cut off: %v", err)
	}
	w.sweep(other, 0) // the first gave its lease back
}

// TestDeletionsWithoutAnAnswerKeepTheWindowOpen: until they can't take effect any more.
func TestDeletionsWithoutAnAnswerKeepTheWindowOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.blob("x")
	w.later(policy.Inputs)
	g := w.gateway(w.mortal(0))
	if _, err := g.Sweep(t.Context(), retention.Options{}); !errors.Is(err, errDead) {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := g.Inputs().Quiet(ctx); err == nil {
		t.Error("uploads are taken while deletions may be under way")
	}
	if _, err := g.Sweep(t.Context(), retention.Options{}); !errors.Is(err, retention.ErrSweeping) {
		t.Errorf("the next sweep: %v", err)
	}
	w.later(5 * time.Minute)
	if err := g.Inputs().Quiet(t.Context()); err != nil {
		t.Errorf("five minutes later: %v", err)
	}
	if report := w.sweep(w.gateway(w.store), 0); !strings.HasPrefix(report.Garbage[0].Examples[0], tenant) {
		t.Errorf("report = %+v", report)
	}
}

// TestSweepToldToStopLeavesTheWindowShut: what was begun gets its answer, the
// rest stays, and nobody has to wait.
func TestSweepToldToStopLeavesTheWindowShut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	const inputs = 40
	for i := range inputs {
		w.blob(strings.Repeat("x", i))
	}
	w.later(policy.Inputs)
	ctx, stop := context.WithCancel(t.Context())
	g := w.gateway(hooked{w.store, func(string) { stop() }, func(string) {}})
	report, err := g.Sweep(ctx, retention.Options{})
	if !errors.Is(err, context.Canceled) || report.Done || report.Failed > 0 {
		t.Errorf("Sweep = %+v, %v", report, err)
	}
	if gone := report.Total().Objects; gone == 0 || gone == inputs || len(w.keys()) != inputs-int(gone) {
		t.Errorf("%d of %d are said to be gone, %d are left", gone, inputs, len(w.keys()))
	}
	if err := g.Inputs().Quiet(t.Context()); err != nil {
		t.Error(err)
	}
	w.sweep(w.gateway(w.store), 0)
	if left := w.keys(); len(left) > 0 {
		t.Errorf("the next sweep left %v", left)
	}
}
