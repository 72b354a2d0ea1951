package retention_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// smallPage is how many jobs make a page of history if they ended more than a day ago.
const smallPage = 32

// jobs writes the records of so many jobs, with their objects.
func (w *world) jobs(n int, ended time.Duration) (recs []schemas.Record) {
	w.Helper()
	for range n {
		recs = append(recs, w.job(ended, nil))
	}
	return recs
}

// inHistory waits until so many records are left in the bucket of jobs.
func (w *world) inHistory(g *gateway, left int) {
	w.Helper()
	w.caughtUp(g)
	w.later(2 * time.Minute) // longer than jobs stay after their end
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		n := 0
		err := w.queue.Jobs.Keys(w.Context(), func(e jobqueue.Entry) {
			if !e.Deleted {
				n++
			}
		})
		if err == nil && n == left {
			return
		}
		if time.Now().After(deadline) {
			w.Fatalf("%d records are left, want %d; %v", n, left, err)
		}
	}
}

// TestLifeOfAPage: outputs of jobs in history go after a week, their records after a
// month, and nothing that is not theirs.
func TestLifeOfAPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	recs := w.jobs(smallPage, 7*day-time.Hour)
	dead := w.job(7*day, func(r *schemas.Record) {
		r.State, r.Outcome, r.Result, r.Archive, r.Attempts = schemas.StateDead, nil, nil, nil, nil
	})
	w.put("somebody/elses", "file")
	w.inHistory(g, 1)
	if n := w.expire(g); n != 0 {
		t.Fatalf("%d expired an hour early", n)
	}
	w.later(2 * time.Hour)
	if n := w.expire(g); n != smallPage {
		t.Fatalf("%d expired, want the outputs of all", n)
	}
	if n := w.expire(g); n != 0 {
		t.Errorf("%d expired twice", n)
	}
	got, err := g.Get(t.Context(), tenant, recs[7].ID)
	if err != nil || got.PurgedUS == 0 || got.Outcome == nil || got.State != recs[7].State {
		t.Fatalf("record = %+v, %v", got, err)
	}
	if report := w.sweep(g, time.Hour); report.Total().Objects != 0 {
		t.Errorf("deleted before whoever just reads the records is done: %+v", report)
	}
	w.later(2 * time.Hour)
	if report := w.sweep(g, time.Hour); report.Total().Objects != 2*smallPage || report.Garbage[0].Kind != schemas.GarbageExpired || len(report.Garbage) != 1 {
		t.Errorf("after the grace: %+v", report)
	}
	w.later(23 * day)
	if n := w.expire(g); n != smallPage {
		t.Fatalf("%d expired, want all records", n)
	}
	if _, err := g.Get(t.Context(), tenant, recs[7].ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	w.sweep(g, time.Hour)
	if keys := w.keys(); len(keys) != 2 || !w.has(dead.SpecKey()) || !w.has("somebody/elses") {
		t.Errorf("left: %v", keys)
	}
}

// TestSharedResultInHistory: a page is left alone while somebody has a result in it, and
// looked at again an hour later.
func TestSharedResultInHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	origin := w.jobs(smallPage, 8*day)[0]
	w.inHistory(g, 0)
	shared := w.share(origin, 7*day-10*time.Minute)
	if n := w.expire(g); n != smallPage-1 {
		t.Fatalf("%d expired, want all but one", n)
	}
	w.later(5 * time.Minute)
	if n := w.expire(g); n != 0 { // and looks no more for an hour
		t.Fatalf("%d expired", n)
	}
	w.later(10 * time.Minute)
	if n := w.expire(g); n != 1 {
		t.Fatalf("%d expired, want the outputs that are shared", n)
	}
	if got, err := g.Get(t.Context(), tenant, origin.ID); err != nil || got.PurgedUS != 0 {
		t.Errorf("the page is not left alone: %+v, %v", got, err)
	}
	if got, err := g.Get(t.Context(), tenant, shared.ID); err != nil || got.PurgedUS == 0 {
		t.Errorf("who shared: %+v, %v", got, err)
	}
	archive := origin.ResultKey(schemas.ObjectArchive)
	w.later(time.Hour)
	if w.sweep(g, time.Hour); !w.has(archive) {
		t.Error("a result has gone that its job still has")
	}
	if n := w.expire(g); n != 1 {
		t.Errorf("%d expired an hour later, want one", n)
	}
	w.later(2 * time.Hour)
	if w.sweep(g, time.Hour); w.has(archive) {
		t.Error("the result is still there")
	}
}

// keyed writes the record of a job whose id comes from an idempotency key, with an
// attempt of this number.
func (w *world) keyed(key string, attempt int, ended time.Duration) schemas.Record {
	w.Helper()
	sum := sha256.Sum256([]byte(tenant + "\x00" + key))
	id, err := schemas.NewJobID(time.UnixMilli(0), bytes.NewReader(sum[:]))
	if err != nil {
		w.Fatal(err)
	}
	return w.job(ended, func(r *schemas.Record) {
		r.ID, r.IdempotencyKey, r.Attempts[0].N = id, key, attempt
	})
}

// TestKeysOfAnExpiredPage: a key whose job has gone with its page makes another one,
// behind the first one's fence. Of a key that is not used again nothing is left.
func TestKeysOfAnExpiredPage(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	w.jobs(smallPage-2, 31*day)
	used, unused := w.keyed("used", 3, 31*day), w.keyed("unused", 2, 31*day)
	w.inHistory(g, 0)
	if n := w.expire(g); n != smallPage {
		t.Fatalf("%d expired, want all outputs", n)
	}
	if again, err := w.submit(g, "", "used"); err == nil && again.CreatedUS != used.CreatedUS {
		t.Fatal("the key made another job while the first is there")
	}
	w.later(2 * time.Hour)
	if n := w.expire(g); n != smallPage {
		t.Fatalf("%d expired, want all records", n)
	}
	w.free(used)
	w.free(unused)
	again, err := w.submit(g, "", "used")
	if err != nil || again.ID != used.ID || again.Forgiven != 3 || again.State != schemas.StateQueued {
		t.Fatalf("the key makes %+v, %v", again, err)
	}
	w.later(2 * time.Hour)
	if report := w.sweep(g, time.Hour); report.Keys != 1 {
		t.Errorf("%d keys were freed, want one: %+v", report.Keys, report)
	}
	if _, err := w.queue.Jobs.Look(t.Context(), schemas.RecordKey(tenant, unused.ID)); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("the marker is still there: %v", err)
	}
	if got, err := g.Get(t.Context(), tenant, used.ID); err != nil || got.CreatedUS != again.CreatedUS || !w.has(again.SpecKey()) {
		t.Errorf("the new job is %+v, %v", got, err)
	}
}

// TestExpiringAPageDies: whoever removed a page dies before the objects of its keys
// are gone. Nobody gets those keys before a sweep has deleted them.
func TestExpiringAPageDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	dead := w.mortal(0)
	g := w.gateway(dead)
	w.jobs(smallPage-1, 31*day)
	first := w.keyed("nightly", 3, 31*day)
	w.inHistory(g, 0)
	w.expire(g)
	w.later(2 * time.Hour)
	if n := w.expire(g); n != smallPage {
		t.Fatalf("%d expired, want all records", n)
	}
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
	if keys := w.keys(); len(keys) > 1 { // of the request that was refused
		t.Errorf("left: %v", keys)
	}
	if again, err := w.submit(g, "", "nightly"); err != nil || again.ID != first.ID || again.State != schemas.StateQueued {
		t.Errorf("the key makes %+v, %v", again, err)
	}
}
