package coordinator_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// TestSilentExecutor: its attempt is lost, another executor runs the job, and
// what the first reports late is refused and deleted.
func TestSilentExecutor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1", "e2")
	g := w.gateway(quick)
	one := w.idle("e1", nil)
	rec := w.submit(g, spec())
	first := w.granted(one, rec)
	one.setSilent(true)
	w.wait(g, rec, schemas.StateQueued)
	two := w.idle("e2", nil)
	w.eventually("e1 is lost", func() bool { return g.Executors()[0].State == "lost" })

	stale := one.result(first, 0)
	one.report(first.Held, schemas.EventResult, stale)
	var second attempt
	w.eventually("e2 gets the job", func() bool {
		reply := w.mustClaim(two, rec, "second")
		if reply.Answer == schemas.AnswerGranted {
			second = attempt{Held: schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: reply.Grant.Attempt}, nonce: "second"}
		}
		return reply.Answer == schemas.AnswerGranted
	})
	if second.Attempt != 2 {
		t.Errorf("attempt %d, want 2", second.Attempt)
	}
	if !w.stored(first.Held, schemas.ObjectResult) {
		t.Error("objects of a lost attempt were deleted before the job's end")
	}
	w.finish(two, second)
	rec = w.wait(g, rec, schemas.StateSucceeded)
	if a := rec.Attempts[0]; a.Failure == nil || a.Failure.Code != schemas.FailLost {
		t.Errorf("first attempt = %+v", a)
	}
	w.eventually("objects of the lost attempt are deleted", func() bool { return !w.stored(first.Held, schemas.ObjectResult) })
	if !w.stored(second.Held, schemas.ObjectResult) {
		t.Error("the accepted result is gone")
	}
	one.result(first, 0) // it uploads once more, and reports once more
	one.report(first.Held, schemas.EventFailed, schemas.Event{Tenant: rec.Tenant, Nonce: first.nonce, Failure: schemas.NewFailure(schemas.FailGuest, "late")})
	if rec = w.wait(g, rec, schemas.StateSucceeded); len(rec.Attempts) != 2 {
		t.Errorf("record = %+v", rec)
	}
}

// TestForgottenAttempt: an executor that started anew knows nothing of what it held.
func TestForgottenAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(func(c *coordinator.Config) { quick(c); c.Lease = time.Hour })
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	first := w.granted(e, rec)
	e.mu.Lock()
	delete(e.held, first.Held)
	e.mu.Unlock()
	rec = w.wait(g, rec, schemas.StateQueued)
	if f := rec.Attempts[0].Failure; f == nil || f.Code != schemas.FailLost || rec.NotBeforeUS == 0 {
		t.Errorf("record = %+v", rec)
	}
}

// TestReportedBeforeLost: a report that waits to be judged is worth more than silence.
func TestReportedBeforeLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(quick)
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	a := w.granted(e, rec)
	g.stop()
	e.report(a.Held, schemas.EventResult, e.result(a, 0))
	e.mu.Lock()
	delete(e.held, a.Held)
	e.mu.Unlock()
	e.setSilent(true)
	g = w.gateway(quick)
	if rec = w.wait(g, rec, schemas.StateSucceeded); len(rec.Attempts) != 1 {
		t.Errorf("record = %+v", rec)
	}
}

// TestStopsWhatIsNotHeld: an executor that comes back learns that its attempt is lost.
func TestStopsWhatIsNotHeld(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(quick)
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	a := w.granted(e, rec)
	e.setSilent(true)
	w.wait(g, rec, schemas.StateQueued)
	e.setSilent(false)
	w.eventually("told to stop", func() bool {
		e.mu.Lock()
		defer e.mu.Unlock()
		return len(e.stopped) > 0 && e.stopped[0].Held == a.Held
	})
}

func TestOverdueAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(func(c *coordinator.Config) { quick(c); c.Overtime = time.Millisecond })
	e := w.idle("e1", nil)
	s := spec()
	s.Limits.WallMS = 1
	rec := w.submit(g, s)
	w.granted(e, rec)
	w.wait(g, rec, schemas.StateQueued)
}

// TestOverdueOfMuteExecutor: waiting for its answer keeps no other attempt from being lost.
func TestOverdueOfMuteExecutor(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(func(c *coordinator.Config) {
		c.Lease, c.Beat, c.Overtime = 2*time.Second, 200*time.Millisecond, time.Millisecond
	})
	e := w.idle("e1", func(e *fakeExecutor) { e.facts.Slots = 2 })
	s := spec()
	s.Limits.WallMS = 1500
	recs := []schemas.Record{w.submit(g, s), w.submit(g, s)}
	for _, rec := range recs {
		w.granted(e, rec)
	}
	e.setSilent(true)
	begin := time.Now()
	for _, rec := range recs {
		w.wait(g, rec, schemas.StateQueued)
	}
	if took := time.Since(begin); took > 15*time.Second {
		t.Errorf("lost after %s", took)
	}
}

func TestCancelQueued(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	rec := w.submit(g, spec())
	if rec, err := g.Cancel(t.Context(), rec.Tenant, rec.ID); err != nil || rec.State != schemas.StateCancelled || rec.EndedUS == 0 {
		t.Errorf("Cancel = %+v, %v", rec, err)
	}
	if rec, err := g.Cancel(t.Context(), rec.Tenant, rec.ID); !errors.Is(err, coordinator.ErrEnded) || rec.State != schemas.StateCancelled {
		t.Errorf("Cancel again = %s, %v", rec.State, err)
	}
	e := w.idle("e1", nil)
	if reply := w.mustClaim(e, rec, "n"); reply.Answer != schemas.AnswerGone {
		t.Errorf("claim answered %s", reply.Answer)
	}
}

func TestCancelTakesTheOfferBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	w.idle("e1", nil)
	rec := w.submit(g, spec())
	q := w.server.Gateway(t, w.log)
	offered := func() int {
		places, err := q.Offered(t.Context(), rec.Pool, rec.Lane)
		if err != nil {
			t.Fatal(err)
		}
		return len(places)
	}
	w.eventually("offered", func() bool { return offered() == 1 })
	if _, err := g.Cancel(t.Context(), rec.Tenant, rec.ID); err != nil {
		t.Fatal(err)
	}
	w.eventually("taken back", func() bool { return offered() == 0 })
}

func TestCancelRunning(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		// during is called while the job is to be cancelled.
		during func(w *world, e *fakeExecutor, a attempt)
		before func(e *fakeExecutor)
	}{
		{name: "the executor stops it"},
		{
			name:   "the command is lost; a heartbeat's answer tells",
			before: func(e *fakeExecutor) { e.setSilent(true) },
			during: func(w *world, e *fakeExecutor, a attempt) { e.setSilent(false) },
		},
		{
			name:   "the executor is lost",
			before: func(e *fakeExecutor) { e.setSilent(true) },
		},
		{
			name:   "it ends by itself",
			before: func(e *fakeExecutor) { e.setSilent(true) },
			during: func(w *world, e *fakeExecutor, a attempt) { w.finish(e, a) },
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, "e1")
			g := w.gateway(quick)
			e := w.idle("e1", nil)
			rec := w.submit(g, spec())
			a := w.granted(e, rec)
			if test.before != nil {
				test.before(e)
			}
			rec, err := g.Cancel(t.Context(), rec.Tenant, rec.ID)
			if err != nil || !rec.Cancel && rec.State != schemas.StateCancelled {
				t.Fatalf("Cancel = %+v, %v", rec, err)
			}
			if test.during != nil {
				test.during(w, e, a)
			}
			rec = w.wait(g, rec, schemas.StateCancelled, schemas.StateSucceeded, schemas.StateDead)
			if rec.State != schemas.StateCancelled || len(rec.Attempts) != 1 {
				t.Errorf("record = %+v", rec)
			}
		})
	}
}

// TestLostClaimReply: the executor asks again and gets the attempt it has.
func TestLostClaimReply(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	offer := w.next(e)
	ctx, cancel := context.WithTimeout(t.Context(), time.Microsecond)
	_, _ = e.claim(ctx, offer.Place, "n") // whether or not its answer came in time, it may be repeated
	cancel()
	reply := w.mustClaim(e, rec, "n")
	if reply.Answer != schemas.AnswerGranted || reply.Grant.Attempt != 1 {
		t.Errorf("reply = %+v", reply)
	}
}
