package coordinator_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// flawed is an executor whose attempts fail for good while flaw is set.
func (w *world) flawed(id string) (e *fakeExecutor, flaw *atomic.Bool) {
	w.Helper()
	flaw = &atomic.Bool{}
	flaw.Store(true)
	e = w.executor(id, 1, func(e *fakeExecutor) {
		e.work = func(ctx context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			if flaw.Load() {
				return failure(a, schemas.FailImage)
			}
			return e.succeed(ctx, a)
		}
	})
	return e, flaw
}

// TestRetryDead: the same job runs again, and everything that concluded from its end copes.
func TestRetryDead(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g, other := w.gateway(nil), w.gateway(nil)
	_, flaw := w.flawed("e1")
	rec := w.wait(g, w.submit(g, spec()), schemas.StateDead)
	w.wait(other, rec, schemas.StateDead)
	flaw.Store(false)

	again, err := other.Retry(t.Context(), rec.Tenant, rec.ID)
	if err != nil || again.ID != rec.ID || again.State != schemas.StateQueued || again.Forgiven != 1 || again.Failure != nil || again.EndedUS != 0 {
		t.Fatalf("Retry = %+v, %v", again, err)
	}
	updates, err := other.Follow(t.Context(), rec.Tenant, rec.ID, coordinator.Offsets{})
	if err != nil {
		t.Fatal(err)
	}
	var last schemas.Record
	for u := range updates {
		if u.Record != nil {
			last = *u.Record
		}
	}
	if last.State != schemas.StateSucceeded || len(last.Attempts) != 2 || last.Attempts[1].N != 2 {
		t.Errorf("followed to %+v", last)
	}
	for _, g := range []*gateway{g, other} {
		w.wait(g, rec, schemas.StateSucceeded)
		w.eventually("one job has succeeded, none is dead", func() bool {
			counts := g.Counts(rec.Tenant)
			return counts[schemas.StateSucceeded] == 1 && counts[schemas.StateDead] == 0 && counts[schemas.StateQueued] == 0
		})
	}
}

// TestRetryForgives: a job that was brought back has all its tries again.
func TestRetryForgives(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.executor("e1", 1, func(e *fakeExecutor) {
		e.work = func(_ context.Context, a attempt) (schemas.EventKind, schemas.Event) {
			return failure(a, schemas.FailGuest)
		}
	})
	rec := w.wait(g, w.submit(g, spec()), schemas.StateDead)
	if _, err := g.Retry(t.Context(), rec.Tenant, rec.ID); err != nil {
		t.Fatal(err)
	}
	if rec = w.wait(g, rec, schemas.StateDead); len(rec.Attempts) != 6 || rec.Attempts[5].N != 6 || rec.Forgiven != 3 {
		t.Errorf("dead again after %+v", rec.Attempts)
	}
}

// TestRetryOnce: of many who retry a job at the same time one does.
func TestRetryOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	gateways := []*gateway{w.gateway(nil), w.gateway(nil)}
	e, _ := w.flawed("e1")
	rec := w.wait(gateways[0], w.submit(gateways[0], spec()), schemas.StateDead)
	e.stop() // so that nobody claims it meanwhile
	var done atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			_, err := gateways[i%2].Retry(t.Context(), rec.Tenant, rec.ID)
			if err == nil {
				done.Add(1)
			} else if !errors.Is(err, coordinator.ErrNotDead) {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := done.Load(); n != 1 {
		t.Errorf("%d retried it", n)
	}
}

func TestRetryRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	_, flaw := w.flawed("e1")
	sum := strings.Repeat("ab", 32)
	key := schemas.InputKey(schemas.SingleTenant, sum)
	if _, err := w.store.Put(t.Context(), key, strings.NewReader("x"), objstore.PutOptions{Size: 1}); err != nil {
		t.Fatal(err)
	}
	s := spec()
	s.Files = map[string]schemas.File{"in.txt": {SHA256: schemas.DigestPrefix + sum, Size: 1}}
	rec := w.wait(g, w.submit(g, s), schemas.StateDead)
	if err := w.store.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	if _, err := g.Retry(t.Context(), rec.Tenant, rec.ID); !errors.Is(err, coordinator.ErrObjectsGone) || !strings.Contains(err.Error(), "in.txt") {
		t.Errorf("without its input: %v", err)
	}
	if rec, err := g.Get(t.Context(), rec.Tenant, rec.ID); err != nil || rec.State != schemas.StateDead {
		t.Errorf("refused, and now %s, %v", rec.State, err)
	}
	flaw.Store(false)
	ended := w.wait(g, w.submit(g, spec()), schemas.StateSucceeded)
	for name, do := range map[string]func(context.Context, string, string) (schemas.Record, error){"retry": g.Retry, "drop": g.Drop} {
		if _, err := do(t.Context(), ended.Tenant, ended.ID); !errors.Is(err, coordinator.ErrNotDead) {
			t.Errorf("%s of a job that succeeded: %v", name, err)
		}
		if _, err := do(t.Context(), "other", rec.ID); !errors.Is(err, coordinator.ErrNotFound) {
			t.Errorf("%s of another tenant's job: %v", name, err)
		}
	}
}

// TestDrop leaves nothing of a job, and its key free.
func TestDrop(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g, other := w.gateway(nil), w.gateway(nil)
	_, flaw := w.flawed("e1")
	s := spec()
	s.IdempotencyKey = "once"
	rec := w.wait(g, w.submit(g, s), schemas.StateDead)
	w.putBytes(schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: 1}, schemas.ObjectStdout, []byte("late"))
	dropped, err := other.Drop(t.Context(), rec.Tenant, rec.ID)
	if err != nil || dropped.ID != rec.ID || dropped.State != schemas.StateDead {
		t.Fatalf("Drop = %+v, %v", dropped, err)
	}
	if _, err := g.Drop(t.Context(), rec.Tenant, rec.ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("Drop again = %v", err)
	}
	w.eventually("its objects are gone", func() bool {
		left, err := w.store.List(t.Context(), schemas.JobPrefix(rec.Tenant, rec.ID), "", 0)
		return err == nil && len(left) == 0
	})
	for _, g := range []*gateway{g, other} {
		w.eventually("it is not listed", func() bool {
			list, _, err := g.List(t.Context(), rec.Tenant, coordinator.Filter{}, "", 10)
			return err == nil && len(list) == 0 && g.Counts(rec.Tenant)[schemas.StateDead] == 0
		})
	}
	flaw.Store(false)
	if again := w.wait(g, w.submit(g, s), schemas.StateSucceeded); again.ID != rec.ID || again.CreatedUS == rec.CreatedUS {
		t.Errorf("the key made %+v", again)
	}
}

// TestBuriedAndBack: a job that could not even be claimed has no attempt to forgive.
func TestBuriedAndBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	s := spec()
	s.Requires.Executor = "e1"
	owned := func(e *fakeExecutor) { e.facts.Owner, e.facts.Tenants = "somebody", []string{"somebody"} }
	w.executor("e1", 1, owned)
	rec := w.wait(g, w.submit(g, s), schemas.StateDead)
	if rec, err := g.Retry(t.Context(), rec.Tenant, rec.ID); err != nil || rec.Forgiven != 0 {
		t.Errorf("Retry = %+v, %v", rec, err)
	}
	w.wait(g, rec, schemas.StateDead)
	list, _, err := g.List(t.Context(), rec.Tenant, coordinator.Filter{States: []schemas.State{schemas.StateDead}}, "", 10)
	if err != nil || !slices.ContainsFunc(list, func(r schemas.Record) bool { return r.ID == rec.ID }) {
		t.Errorf("List = %+v, %v", list, err)
	}
}

// TestDeadlineOfARunningJob: it is stopped, as if it was cancelled.
func TestDeadlineOfARunningJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(quick)
	e := w.idle("e1", nil)
	s := spec()
	s.DeadlineMS = 1500
	rec := w.submit(g, s)
	a := w.granted(e, rec)
	rec = w.wait(g, rec, schemas.StateExpired)
	if f := rec.Failure; f == nil || f.Code != schemas.FailDeadline || !strings.Contains(f.Message, "1.5s after its submission") || !strings.Contains(f.Message, "attempt 1 was running on e1") {
		t.Errorf("failure = %+v", rec.Failure)
	}
	if rec.EndedUS < rec.DeadlineUS {
		t.Errorf("ended %s before its deadline", time.Duration(rec.DeadlineUS-rec.EndedUS)*time.Microsecond)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.stopped) == 0 || e.stopped[0].Held != a.Held || e.stopped[0].Reason != "deadline" {
		t.Errorf("told to stop %+v", e.stopped)
	}
}

// TestDeadlineOfAMuteExecutor: what cannot be stopped is found lost.
func TestDeadlineOfAMuteExecutor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(quick)
	e := w.idle("e1", nil)
	s := spec()
	s.DeadlineMS = 1000
	rec := w.submit(g, s)
	w.granted(e, rec)
	e.setSilent(true)
	if rec = w.wait(g, rec, schemas.StateExpired, schemas.StateQueued); rec.State != schemas.StateExpired || len(rec.Attempts) != 1 {
		t.Errorf("record = %+v", rec)
	}
}

// TestDeadlineOfAQueuedJob: nobody gets it any more, and it is expired with its deadline as the reason.
func TestDeadlineOfAQueuedJob(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	s := spec()
	s.DeadlineMS = 1000
	rec := w.wait(g, w.submit(g, s), schemas.StateExpired)
	if f := rec.Failure; f == nil || f.Code != schemas.FailDeadline || !strings.Contains(f.Message, "it waited") {
		t.Errorf("failure = %+v", rec.Failure)
	}
	if reply := w.mustClaim(w.idle("e1", nil), rec, "n"); reply.Answer != schemas.AnswerGone {
		t.Errorf("claim answered %s", reply.Answer)
	}
}
