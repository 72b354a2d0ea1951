package coordinator_test

import (
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestPoison: a job with which two executors were lost is not given to a third.
func TestPoison(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1", "e2")
	g := w.gateway(quick)
	rec := w.poisoned(g, "e1", "e2")
	if n := len(rec.Attempts); n != 2 || rec.Failure == nil || rec.Failure.Code != schemas.FailLost || !strings.Contains(rec.Failure.Message, "2 executors were lost") {
		t.Errorf("dead after %d attempts: %+v", n, rec.Failure)
	}
	for _, a := range rec.Attempts {
		if a.Failure == nil || a.Failure.Code != schemas.FailLost {
			t.Errorf("attempt %d has no reason: %+v", a.N, a)
		}
	}
}

// poisoned submits a job with which these executors are lost, one after the other, until it is dead.
func (w *world) poisoned(g *gateway, executors ...string) schemas.Record {
	w.Helper()
	rec := w.submit(g, spec())
	for _, id := range executors {
		e := w.idle(id, nil)
		w.eventually(id+" gets the job", func() bool { return w.mustClaim(e, rec, "n").Answer == schemas.AnswerGranted })
		e.setSilent(true)
		rec = w.wait(g, rec, schemas.StateQueued, schemas.StateDead)
	}
	return w.wait(g, rec, schemas.StateDead)
}
