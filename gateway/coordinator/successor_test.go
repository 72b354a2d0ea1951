package coordinator_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// again submits a job under a key that an earlier one had: alone, or in a batch.
func (w *world) again(g *gateway, s schemas.JobSpec, batched bool) (rec schemas.Record) {
	w.Helper()
	w.eventually("the key is free", func() bool {
		if !batched {
			r, created, err := g.Submit(w.Context(), submission(s))
			rec = r
			return err == nil && created
		}
		other := spec()
		answers, err := g.SubmitBatch(w.Context(), []coordinator.Submission{submission(other), submission(s)}, true)
		if err != nil {
			return false
		}
		rec = answers[1].Record
		return answers[1].Created
	})
	return rec
}

// TestSuccessor: the same executor, which was cut off, still runs an attempt of a
// job that was dropped; its key made another one since, which it runs, too.
func TestSuccessor(t *testing.T) {
	for name, batched := range map[string]bool{"alone": false, "in a batch": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "e1")
			g := w.gateway(nil)
			_, flaw := w.flawed("e1")
			s := spec()
			s.IdempotencyKey = "once"
			rec := w.wait(g, w.submit(g, s), schemas.StateDead)
			old := schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: 1}
			for n := 2; n < 4; n++ {
				if _, err := g.Drop(t.Context(), rec.Tenant, rec.ID); err != nil {
					t.Fatal(err)
				}
				w.putBytes(old, schemas.ObjectResult, []byte("late")) // by a request that was signed before
				next := w.wait(g, w.again(g, s, batched), schemas.StateDead)
				if next.ID != rec.ID || len(next.Attempts) != 1 || next.Attempts[0].N != n {
					t.Fatalf("job %d is %+v", n, next)
				}
			}
			if _, err := g.Drop(t.Context(), rec.Tenant, rec.ID); err != nil {
				t.Fatal(err)
			}
			flaw.Store(false)
			w.putBytes(old, schemas.ObjectResult, []byte("late"))
			last := w.wait(g, w.again(g, s, batched), schemas.StateSucceeded)
			if last.Attempts[0].N != 4 || last.ResultKey(schemas.ObjectResult) == schemas.AttemptKey(old.Tenant, old.Job, old.Attempt, schemas.ObjectResult) {
				t.Errorf("the last job is %+v", last)
			}
			if result := w.object(last.ResultKey(schemas.ObjectResult)); bytes.Contains([]byte(result), []byte("late")) {
				t.Errorf("its result is %q", result)
			}
		})
	}
}

// TestNoSuccessorYet: while objects of the job before may be there, nobody makes
// one of its id, also not in a batch.
func TestNoSuccessorYet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	jobs := batchOf("once", "twice")
	rec := w.batch(g, jobs, true)[0].Record
	bucket := w.queues.Gateway(t, nil).Jobs
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	marker, err := bucket.Mark(t.Context(), key, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := g.SubmitBatch(t.Context(), jobs, true); !errors.Is(err, coordinator.ErrRemoving) {
		t.Errorf("SubmitBatch = %v", err)
	}
	if _, _, err := g.Submit(t.Context(), jobs[0]); !errors.Is(err, coordinator.ErrRemoving) {
		t.Errorf("Submit = %v", err)
	}
	if err := bucket.Free(t.Context(), key, marker); err != nil {
		t.Fatal(err)
	}
	again := w.batch(g, jobs, true)
	if !again[0].Created || again[1].Created {
		t.Errorf("SubmitBatch = %+v", again)
	}
}
