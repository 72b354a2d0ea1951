package retention_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/s3"
	"github.com/program-explorer/pe/internal/objstore/s3test"
	"github.com/program-explorer/pe/schemas"
)

// wholeRecord checks the objects of each record that comes by.
func (w *world) wholeRecord(seen *int) func(jobqueue.Entry) {
	return func(e jobqueue.Entry) {
		var rec schemas.Record
		if e.Deleted {
			return
		}
		if err := json.Unmarshal(e.Value, &rec); err != nil {
			w.Error(err)
			return
		}
		*seen++
		named := []string{rec.SpecKey()}
		if n := rec.Accepted(); n > 0 && rec.PurgedUS == 0 {
			named = append(named, schemas.AttemptKey(rec.Tenant, rec.ID, n, rec.Result.Name), schemas.AttemptKey(rec.Tenant, rec.ID, n, rec.Archive.Name))
		}
		for _, key := range named {
			if !w.has(key) {
				w.Errorf("record %s names %s, which is not there", rec.ID, key)
			}
		}
	}
}

// mess fills a store with everything that there can be: what must stay, and what must go.
func (w *world) mess(g *gateway) (garbage map[string]string) {
	w.Helper()
	w.job(time.Hour, nil)
	retried := w.job(time.Hour, func(r *schemas.Record) {
		r.Attempts = append(r.Attempts, schemas.Attempt{N: 2, Executor: "e2", ClaimedUS: 1, EndedUS: 2})
	})
	running := w.job(0, func(r *schemas.Record) {
		r.State, r.EndedUS, r.Outcome, r.Result, r.Archive = schemas.StateRunning, 0, nil, nil, nil
		r.Attempts = append(r.Attempts, schemas.Attempt{N: 2, Executor: "e2", ClaimedUS: 1})
	})
	dead := w.job(time.Hour, func(r *schemas.Record) {
		r.State, r.Outcome, r.Result, r.Archive = schemas.StateDead, nil, nil, nil
	})
	keyed := w.job(time.Hour, func(r *schemas.Record) { r.Spec.Name = "spec-WINNER.json" })
	purged := w.job(8*day, func(r *schemas.Record) { r.PurgedUS = w.us(2 * time.Hour) })
	gone := "j0000000000000000000000000"
	w.put("img/sha256/x", "an image")
	w.put("strange", "whose is it")
	w.put("alice/jobs/no-job/1/result.json", "strange, too")
	garbage = map[string]string{
		schemas.AttemptKey(tenant, retried.ID, 1, schemas.ObjectResult):  schemas.GarbageLostAttempt,
		schemas.AttemptKey(tenant, retried.ID, 1, schemas.ObjectArchive): schemas.GarbageLostAttempt,
		schemas.AttemptKey(tenant, dead.ID, 1, schemas.ObjectResult):     schemas.GarbageLostAttempt,
		schemas.AttemptKey(tenant, dead.ID, 1, schemas.ObjectArchive):    schemas.GarbageLostAttempt,
		tenant + "/jobs/" + keyed.ID + "/spec-LOSER.json":                schemas.GarbageSpec,
		schemas.AttemptKey(tenant, purged.ID, 1, schemas.ObjectResult):   schemas.GarbageExpired,
		schemas.AttemptKey(tenant, purged.ID, 1, schemas.ObjectArchive):  schemas.GarbageExpired,
		schemas.SpecKey("bob", gone):                                     schemas.GarbageNoRecord,
		schemas.AttemptKey("bob", gone, 3, schemas.ObjectStdout):         schemas.GarbageNoRecord,
	}
	for key := range garbage {
		if !w.has(key) {
			w.put(key, "garbage")
		}
	}
	if !w.has(schemas.AttemptKey(tenant, running.ID, 1, schemas.ObjectResult)) {
		w.Fatal("the running job's first attempt left nothing")
	}
	w.later(time.Hour)
	w.caughtUp(g)
	return garbage
}

// TestSweepTakesGarbageAlone, in a folder and in S3, and a dry run says beforehand what.
func TestSweepTakesGarbageAlone(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(*testing.T) *world{
		"dir": func(t *testing.T) *world { return newWorld(t) },
		"s3": func(t *testing.T) *world {
			server := s3test.Start(t)
			store, err := s3.Open(t.Context(), s3.Config{
				Endpoint: server.Endpoint, Bucket: server.Bucket, CreateBucket: true,
				AccessKey: s3.Secret(server.AccessKey), SecretKey: s3.Secret(server.SecretKey),
			})
			if err != nil {
				t.Fatal(err)
			}
			return worldWith(t, store)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := start(t)
			g := w.gateway(w.store)
			garbage := w.mess(g)
			before := w.keys()
			dry, err := g.Sweep(t.Context(), retention.Options{DryRun: true, Grace: time.Hour / 2})
			if err != nil || !dry.Done {
				t.Fatalf("dry run = %+v, %v", dry, err)
			}
			if after := w.keys(); fmt.Sprint(before) != fmt.Sprint(after) {
				t.Errorf("a dry run left\n%v\nof\n%v", after, before)
			}
			report := w.sweep(g, time.Hour/2)
			if !equalReports(dry, report) {
				t.Errorf("dry run:\n%+v\nsweep:\n%+v", dry, report)
			}
			left := map[string]bool{}
			for _, key := range w.keys() {
				left[key] = true
			}
			for _, key := range before {
				if _, bad := garbage[key]; bad == left[key] {
					t.Errorf("%s: garbage %v, there after the sweep %v", key, bad, left[key])
				}
			}
			if report.Total().Objects != int64(len(garbage)) || report.Foreign.Objects != 3 || report.Failed != 0 {
				t.Errorf("report = %+v", report)
			}
			w.whole()
		})
	}
}

// TestSweepGoesThroughPages: many more objects than a page of the listing has.
func TestSweepGoesThroughPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	const many = objstore.MaxList + 7
	for i := range many {
		w.put(schemas.SpecKey(tenant, fmt.Sprintf("j%025d", i)), "x")
	}
	w.job(0, nil)
	w.later(time.Hour)
	pages := 0
	report, err := g.Sweep(t.Context(), retention.Options{Grace: time.Minute, Progress: func(schemas.SweepReport) { pages++ }})
	if err != nil || report.Total() != (schemas.ObjectCount{Objects: many, Bytes: many}) || pages != 2 || len(report.Garbage[0].Examples) != schemas.MaxGarbageExamples {
		t.Errorf("after %d pages: %+v, %v", pages, report, err)
	}
	if keys := w.keys(); len(keys) != 3 {
		t.Errorf("left: %v", keys)
	}
}

// TestUsageIsWhatIsThere: what a sweep counts, what changes after it, and what another gateway hears.
func TestUsageIsWhatIsThere(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(w.store)
	g.Stored().Add(tenant, 1_000_000, w.now()) // what the sweep finds is what counts
	w.put(schemas.SpecKey("bob", "j0000000000000000000000000"), "x")
	rec := w.job(0, nil)
	size := rec.Spec.Size + rec.Result.Size + rec.Archive.Size
	w.later(time.Hour)
	w.sweep(g, 0)
	bytes, counted := g.Stored().Bytes(tenant)
	if bytes != size || counted.IsZero() {
		t.Errorf("alice has %d bytes, want %d", bytes, size)
	}
	if bytes, _ := g.Stored().Bytes("bob"); bytes != 0 {
		t.Errorf("bob has %d bytes", bytes)
	}
	w.later(time.Second)
	g.Stored().Add(tenant, 5, w.now())
	g.Stored().Add(tenant, 7, w.now())
	g.Stored().Add(tenant, 1_000, w.now().Add(-time.Minute)) // before it, though it is told only now
	if bytes, _ := g.Stored().Bytes(tenant); bytes != size+12 {
		t.Errorf("alice has %d bytes, want %d", bytes, size+12)
	}
}
