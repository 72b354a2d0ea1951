package coordinator_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

func TestWholeLife(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	rec := w.wait(g, w.submit(g, spec()), schemas.StateSucceeded)
	if len(rec.Attempts) != 1 || rec.Attempts[0].N != 1 || rec.Attempts[0].Executor != "e1" || !rec.HasResult() || rec.EndedUS == 0 {
		t.Errorf("record = %+v", rec)
	}
}

func TestProgramFailed(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, func(e *fakeExecutor) {
		e.work = func(_ context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			return schemas.EventResult, e.result(a, 3)
		}
	})
	rec := w.wait(g, w.submit(g, spec()), schemas.StateFailed)
	if rec.Outcome == nil || *rec.Outcome.ExitCode != 3 || rec.Failure != nil {
		t.Errorf("record = %+v", rec)
	}
}

func TestPlatformFailures(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		code     schemas.FailureCode
		times    int32 // how many attempts fail before one succeeds
		attempts int
		state    schemas.State
	}{
		{"retried", schemas.FailMachine, 1, 2, schemas.StateSucceeded},
		{"not retryable", schemas.FailImage, 1, 1, schemas.StateDead},
		{"too often", schemas.FailGuest, 99, 3, schemas.StateDead},
		{"handed back", schemas.FailHandback, 5, 6, schemas.StateSucceeded},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "e1")
			g := w.gateway(nil)
			w.executor("e1", 1, func(e *fakeExecutor) {
				var n atomic.Int32
				e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
					if n.Add(1) <= test.times {
						return failure(a, test.code)
					}
					return e.succeed(ctx, a)
				}
			})
			rec := w.wait(g, w.submit(g, spec()), schemas.StateSucceeded, schemas.StateDead)
			if rec.State != test.state || len(rec.Attempts) != test.attempts {
				t.Errorf("state %s after %d attempts, want %s after %d", rec.State, len(rec.Attempts), test.state, test.attempts)
			}
			if (rec.Failure != nil) != (test.state == schemas.StateDead) {
				t.Errorf("failure = %v", rec.Failure)
			}
		})
	}
}

// TestResultWithoutObjects: what a result names must be in the store.
func TestResultWithoutObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, func(e *fakeExecutor) {
		e.work = func(_ context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			event := e.result(a, 0)
			switch a.Attempt {
			case 1:
				event.Archive = &schemas.Object{Name: schemas.ObjectArchive, Size: 1, SHA256: event.Result.SHA256}
			case 2:
				event.Result.Size++
			}
			return schemas.EventResult, event
		}
	})
	rec := w.wait(g, w.submit(g, spec()), schemas.StateSucceeded, schemas.StateDead)
	if rec.State != schemas.StateSucceeded || len(rec.Attempts) != 3 || rec.Attempts[0].Failure.Code != schemas.FailUpload {
		t.Errorf("record = %+v", rec)
	}
}

func TestWaitsForAnExecutor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1", "e2")
	g := w.gateway(nil)
	w.executor("e1", 1, nil)
	s := spec()
	s.Requires.Arch = "riscv64"
	rec := w.submit(g, s)
	if why := g.Waiting(rec); !strings.Contains(why, "no executor is known") {
		t.Errorf("of a job that nobody can run is said %q", why)
	}
	w.executor("e2", 1, func(e *fakeExecutor) { e.facts.Offers[0].Arch = "riscv64" })
	if rec = w.wait(g, rec, schemas.StateSucceeded); rec.Attempts[0].Executor != "e2" {
		t.Errorf("record = %+v", rec)
	}
}

// TestAcknowledgedWithoutClaim: the reconciler offers again.
func TestAcknowledgedWithoutClaim(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(quick)
	e := w.executor("e1", 0, func(e *fakeExecutor) { e.facts.Slots = 1 })
	rec := w.submit(g, spec())
	offer := w.next(e)
	if err := offer.Ack(); err != nil {
		t.Fatal(err)
	}
	again := w.next(e)
	if again.Job != rec.ID {
		t.Errorf("offered %s, want %s", again.Job, rec.ID)
	}
	e.take(t.Context(), again)
	w.wait(g, rec, schemas.StateSucceeded)
}

func (w *world) next(e *fakeExecutor) *jobqueue.Offer {
	w.Helper()
	ctx, cancel := context.WithTimeout(w.Context(), patience)
	defer cancel()
	offer, err := e.puller.Next(ctx)
	if err != nil {
		w.Fatal(err)
	}
	return offer
}

func TestNotFound(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	rec := w.submit(g, spec())
	for _, id := range []string{"", "j", "../../etc/passwd", "j0000000000000000000000000"} {
		if _, err := g.Get(t.Context(), rec.Tenant, id); !errors.Is(err, coordinator.ErrNotFound) {
			t.Errorf("Get(%q) = %v", id, err)
		}
	}
	if _, err := g.Get(t.Context(), "other", rec.ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("another tenant's Get = %v", err)
	}
	if _, err := g.Cancel(t.Context(), "other", rec.ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("another tenant's Cancel = %v", err)
	}
}
