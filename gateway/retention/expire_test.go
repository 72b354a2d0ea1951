package retention_test

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func (w *world) expire(g *gateway) int {
	w.Helper()
	w.caughtUp(g)
	n, err := g.Expire(w.Context())
	if err != nil {
		w.Fatal(err)
	}
	return n
}

// free waits until the job's id is free again: the last step of its removal.
func (w *world) free(rec schemas.Record) {
	w.Helper()
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	deadline := time.Now().Add(time.Minute)
	for !w.isFree(key) {
		if time.Now().After(deadline) {
			w.Fatalf("the key of job %s is still taken", rec.ID)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func (w *world) isFree(key string) bool {
	w.Helper()
	e, err := w.queue.Jobs.Look(w.Context(), key)
	return errors.Is(err, jobqueue.ErrNotFound) || err == nil && e.Deleted && len(e.Value) > 0
}

// TestLifeOfARecord: outputs go after a week, the record after a month.
func TestLifeOfARecord(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	rec := w.job(7*day-time.Minute, nil)
	archive := schemas.AttemptKey(tenant, rec.ID, 1, schemas.ObjectArchive)
	if n := w.expire(g); n != 0 {
		t.Fatalf("%d expired a minute early", n)
	}
	w.later(2 * time.Minute)
	if n := w.expire(g); n != 1 {
		t.Fatalf("%d expired, want the outputs of one job", n)
	}
	got, err := g.Get(t.Context(), tenant, rec.ID)
	if err != nil || got.PurgedUS == 0 || got.Outcome == nil || got.State != rec.State {
		t.Fatalf("record = %+v, %v", got, err)
	}
	if n := w.expire(g); n != 0 {
		t.Errorf("%d expired twice", n)
	}
	w.later(time.Hour - time.Minute)
	if w.sweep(g, time.Hour); !w.has(archive) {
		t.Error("outputs were deleted before whoever just reads the record is done")
	}
	w.later(2 * time.Minute)
	report := w.sweep(g, time.Hour)
	if w.has(archive) || report.Total().Objects != 2 || report.Garbage[0].Kind != schemas.GarbageExpired {
		t.Errorf("after the grace: %+v", report)
	}
	if !w.has(rec.SpecKey()) {
		t.Error("the specification went with the outputs")
	}
	w.later(23 * day)
	if n := w.expire(g); n != 1 {
		t.Fatalf("%d expired, want one record", n)
	}
	w.free(rec)
	if keys := w.keys(); len(keys) > 0 {
		t.Errorf("left: %v", keys)
	}
	if _, err := g.Get(t.Context(), tenant, rec.ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
}

// TestRecordTakesItsOutputsAlong: where outputs would be kept for longer than the record.
func TestRecordTakesItsOutputsAlong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.Outputs = 0
	g := w.gateway(w.store)
	rec := w.job(31*day, nil)
	w.expire(g)
	if got, err := g.Get(t.Context(), tenant, rec.ID); err != nil || got.PurgedUS == 0 {
		t.Fatalf("record = %+v, %v: outputs must expire first", got, err)
	}
	w.later(2 * time.Hour)
	w.expire(g)
	w.free(rec)
	if keys := w.keys(); len(keys) > 0 {
		t.Errorf("left: %v", keys)
	}
}

// TestNothingExpiresForEver: zero is for ever, and what has not ended stays.
func TestNothingExpiresForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy.Outputs, w.policy.Records = 0, 0
	g := w.gateway(w.store)
	w.job(1000*day, nil)
	if n := w.expire(g); n != 0 {
		t.Errorf("%d expired", n)
	}
	w2 := newWorld(t)
	g2 := w2.gateway(w2.store)
	rec, err := w2.submit(g2, "", "")
	if err != nil {
		t.Fatal(err)
	}
	w2.later(1000 * day)
	w2.caughtUp(g2)
	for _, d := range g2.Due(coordinator.Cutoffs{Outputs: w2.now(), Records: w2.now(), Purged: w2.now()}, 10) {
		t.Errorf("due: %+v", d)
	}
	if err := g2.Remove(t.Context(), tenant, rec.ID); err == nil {
		if got, _ := g2.Get(t.Context(), tenant, rec.ID); !got.State.Terminal() {
			t.Error("a queued job was removed")
		}
	}
}

// TestTheDeadStay until somebody brings them back or drops them.
func TestTheDeadStay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	rec := w.job(1000*day, func(r *schemas.Record) {
		r.State, r.Outcome, r.Result, r.Archive = schemas.StateDead, nil, nil, nil
	})
	if n := w.expire(g); n != 0 {
		t.Errorf("%d expired", n)
	}
	if _, err := g.Drop(t.Context(), tenant, rec.ID); err != nil {
		t.Errorf("drop: %v", err)
	}
}

// TestJobWithoutObjectsNeedsNoPurge: its record goes in one step.
func TestJobWithoutObjectsNeedsNoPurge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	rec := w.job(31*day, func(r *schemas.Record) {
		r.State, r.Outcome, r.Result, r.Archive, r.Attempts = schemas.StateCancelled, nil, nil, nil, nil
	})
	if n := w.expire(g); n != 1 {
		t.Fatalf("%d expired, want the record", n)
	}
	w.free(rec)
}

// TestKeyOfAnExpiredJobMakesANewOne: after its record is gone, the idempotency
// key is as new, and meanwhile a repeated request is told to wait.
func TestKeyOfAnExpiredJobMakesANewOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.mortal(0)
	g := w.gateway(dead)
	first, err := w.submit(g, "", "nightly")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.Cancel(t.Context(), tenant, first.ID); err != nil {
		t.Fatal(err)
	}
	if again, err := w.submit(g, "", "nightly"); err != nil || again.CreatedUS != first.CreatedUS {
		t.Fatalf("before it expired: %+v, %v", again, err)
	}
	w.later(31 * day)
	w.expire(g) // dies before it deletes the specification
	<-dead.died
	if _, err := w.submit(g, "", "nightly"); !errors.Is(err, coordinator.ErrRemoving) {
		t.Fatalf("while it is being removed: %v", err)
	}
	g.stop()
	g = w.gateway(w.store)
	w.later(2 * time.Hour)
	if report := w.sweep(g, time.Hour); report.Keys != 1 {
		t.Errorf("sweep = %+v, want one key freed", report)
	}
	second, err := w.submit(g, "", "nightly")
	if err != nil || second.ID != first.ID || second.CreatedUS == first.CreatedUS {
		t.Fatalf("after it was removed: %+v, %v", second, err)
	}
	w.later(2 * time.Hour)
	if w.sweep(g, time.Hour); !w.has(second.SpecKey()) {
		t.Error("the new job's specification is gone")
	}
}

// share makes a job that has another one's result.
func (w *world) share(origin schemas.Record, ended time.Duration) schemas.Record {
	w.Helper()
	return w.job(ended, func(r *schemas.Record) {
		r.Attempts, r.Outcome, r.Result, r.Archive = nil, origin.Outcome, origin.Result, origin.Archive
		r.Source = &schemas.Source{Job: origin.ID, Attempt: 1, EndedUS: origin.EndedUS}
	})
}

// TestSharedResultOutlivesItsJob: nothing of a job expires while another one has its result.
func TestSharedResultOutlivesItsJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	origin := w.job(31*day, nil)
	first, second := w.share(origin, 31*day), w.share(origin, time.Hour)
	archive := origin.ResultKey(schemas.ObjectArchive)
	if n := w.expire(g); n != 1 {
		t.Fatalf("%d expired, want the outputs of the one that nobody shares", n)
	}
	w.later(2 * time.Hour)
	if n := w.expire(g); n != 1 { // its record
		t.Fatalf("%d expired", n)
	}
	w.free(first)
	if w.sweep(g, time.Hour); !w.has(archive) {
		t.Fatal("a result was deleted that another job has")
	}
	w.later(7 * day)
	w.expire(g) // what the second job has; then nobody has it but its own job
	if rec, err := g.Get(t.Context(), tenant, second.ID); err != nil || rec.PurgedUS == 0 {
		t.Fatalf("record = %+v, %v", rec, err)
	}
	if n := w.expire(g); n != 1 {
		t.Fatalf("%d expired, want the outputs of the origin", n)
	}
	w.later(2 * time.Hour)
	w.expire(g)
	w.free(origin)
	if w.sweep(g, time.Hour); w.has(archive) {
		t.Error("the result is still there")
	}
}

// TestShareAtTheLastMoment: a submission that read the origin before its outputs
// expired, and makes its own record after, has them all the same.
func TestShareAtTheLastMoment(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	origin := w.job(8*day, nil)
	if n := w.expire(g); n != 1 {
		t.Fatalf("%d expired", n)
	}
	w.later(time.Minute)
	shared := w.share(origin, 0)
	for range 3 {
		w.later(2 * time.Hour)
		w.expire(g)
		if w.sweep(g, time.Hour); !w.has(shared.ResultKey(schemas.ObjectArchive)) {
			t.Fatal("a record points to nothing")
		}
	}
	w.later(8 * day)
	w.expire(g)
	w.later(2 * time.Hour)
	if w.sweep(g, time.Hour); w.has(shared.ResultKey(schemas.ObjectArchive)) {
		t.Error("the result is still there")
	}
}
