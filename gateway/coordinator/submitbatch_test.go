package coordinator_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

func batchOf(keys ...string) (jobs []coordinator.Submission) {
	for i, key := range keys {
		s := spec()
		s.Args = []string{"job", key, strings.Repeat("x", i)}
		if s.IdempotencyKey = key; key != "" {
			s.Args = []string{"job", key}
		}
		jobs = append(jobs, submission(s))
	}
	return jobs
}

func (w *world) batch(g *gateway, jobs []coordinator.Submission, all bool) []coordinator.Submitted {
	w.Helper()
	answers, err := g.SubmitBatch(w.Context(), jobs, all)
	if err != nil || len(answers) != len(jobs) {
		w.Fatalf("SubmitBatch = %d answers, %v", len(answers), err)
	}
	return answers
}

// TestSubmitBatch: its jobs are jobs as any other.
func TestSubmitBatch(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 4, func(e *fakeExecutor) { e.prompt = true })
	jobs := batchOf(make([]string, 20)...)
	jobs[7].Spec.Args = []string{strings.Repeat("a", schemas.MaxInline)} // an object
	for i, a := range w.batch(g, jobs, true) {
		if a.Err != nil || !a.Created {
			t.Errorf("job %d: %+v", i, a)
		}
		w.wait(g, a.Record, schemas.StateSucceeded)
		if got, err := g.SpecOf(t.Context(), a.Record.Tenant, a.Record.ID); err != nil || got.Args[0] != jobs[i].Spec.Args[0] {
			t.Errorf("specification of job %d: %+v, %v", i, got, err)
		}
	}
}

// TestBatchKeys: the same batch again, half of it again, and keys that come twice.
func TestBatchKeys(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	first := w.batch(g, batchOf("a", "b", "", "a"), true)
	if first[3].Created || first[3].Record.ID != first[0].Record.ID || !first[0].Created || !first[2].Created {
		t.Errorf("a key twice in one batch: %+v", first)
	}
	again := w.batch(g, batchOf("a", "b", "c"), true)
	for i, created := range []bool{false, false, true} {
		if again[i].Created != created || !created && again[i].Record.ID != first[i].Record.ID {
			t.Errorf("job %d again: %+v", i, again[i])
		}
	}
	before := len(w.all(g))
	other := batchOf("d", "b", "e")
	other[1].Spec.Args = []string{"another"}
	for i, a := range w.batch(g, other, true) {
		if a.Created || errors.Is(a.Err, coordinator.ErrKeyReused) != (i == 1) {
			t.Errorf("all or none, job %d: %+v", i, a)
		}
	}
	if n := len(w.all(g)); n != before {
		t.Errorf("%d jobs, %d before a batch that was refused", n, before)
	}
	for i, a := range w.batch(g, other, false) {
		if a.Created != (i != 1) || errors.Is(a.Err, coordinator.ErrKeyReused) != (i == 1) {
			t.Errorf("each, job %d: %+v", i, a)
		}
	}
}

// TestBatchesAtOnce: two gateways get the same batch in one moment.
func TestBatchesAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	gateways := []*gateway{w.gateway(nil), w.gateway(nil)}
	keys := strings.Fields("a b c d e f g h")
	answers := make(chan []coordinator.Submitted, 4)
	for i := range cap(answers) {
		go func() {
			a, err := gateways[i%2].SubmitBatch(t.Context(), batchOf(keys...), true)
			if err != nil {
				t.Error(err)
			}
			answers <- a
		}()
	}
	created, ids := 0, map[string]bool{}
	for range cap(answers) {
		for _, a := range <-answers {
			if ids[a.Record.ID] = true; a.Created {
				created++
			}
		}
	}
	if created != len(keys) || len(ids) != len(keys) {
		t.Errorf("%d jobs created, %d ids, for %d keys", created, len(ids), len(keys))
	}
}

// TestBatchLimit holds for the batch as a whole.
func TestBatchLimit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(func(c *coordinator.Config) { c.Limits.Default.Queued = 5 })
	w.batch(g, batchOf("", "", ""), true)
	for _, all := range []bool{true, false} {
		if _, err := g.SubmitBatch(t.Context(), batchOf("", "", ""), all); !errors.Is(err, coordinator.ErrTooMany) {
			t.Errorf("SubmitBatch = %v", err)
		}
	}
	if n := len(w.all(g)); n != 3 {
		t.Errorf("%d jobs, want 3", n)
	}
	w.batch(g, batchOf("", ""), true)
}

func (w *world) all(g *gateway) []schemas.Record {
	w.Helper()
	recs, _, err := g.List(w.Context(), schemas.SingleTenant, coordinator.Filter{}, "", coordinator.MaxList)
	if err != nil {
		w.Fatal(err)
	}
	return recs
}
