package coordinator_test

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// idle is an executor that takes nothing by itself.
func (w *world) idle(id string, change func(*fakeExecutor)) *fakeExecutor {
	w.Helper()
	return w.executor(id, 0, func(e *fakeExecutor) {
		e.facts.Slots = 1
		if change != nil {
			change(e)
		}
	})
}

func (w *world) mustClaim(e *fakeExecutor, rec schemas.Record, nonce string) schemas.ClaimReply {
	w.Helper()
	reply, err := e.claim(w.Context(), jobqueue.Place{Tenant: rec.Tenant, Job: rec.ID}, nonce)
	if err != nil {
		w.Fatal(err)
	}
	return reply
}

// granted claims a job for an executor, which then holds it.
func (w *world) granted(e *fakeExecutor, rec schemas.Record) attempt {
	w.Helper()
	nonce := rand.Text()
	reply := w.mustClaim(e, rec, nonce)
	if reply.Answer != schemas.AnswerGranted {
		w.Fatalf("claim answered %s", reply.Answer)
	}
	a := attempt{Held: schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: reply.Grant.Attempt}, nonce: nonce, grant: *reply.Grant}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.held[a.Held] = func(error) {}
	return a
}

func (w *world) finish(e *fakeExecutor, a attempt) {
	e.report(a.Held, schemas.EventResult, e.result(a, 0))
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.held, a.Held)
}

func TestClaims(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1", "e2", "arm", "stranger")
	g := w.gateway(nil)
	one, two := w.idle("e1", nil), w.idle("e2", nil)
	arm := w.idle("arm", func(e *fakeExecutor) { e.facts.Offers[0].Arch = "arm64" })
	stranger := &fakeExecutor{w: w, queue: w.server.Executor(w, "stranger", w.log)}
	s := spec()
	s.Env = map[string]string{"A": "b"}
	rec := w.submit(g, s)

	expect := func(what string, e *fakeExecutor, rec schemas.Record, nonce string, want schemas.Answer, attempt int) {
		t.Helper()
		reply := w.mustClaim(e, rec, nonce)
		if reply.Answer != want || (reply.Grant != nil) != (attempt > 0) || reply.Grant != nil && reply.Grant.Attempt != attempt {
			t.Errorf("%s: answer %s, grant %+v; want %s, attempt %d", what, reply.Answer, reply.Grant, want, attempt)
		}
		if reply.Grant != nil && reply.Grant.Spec.Env["A"] != "b" {
			t.Errorf("%s: granted specification %+v", what, reply.Grant.Spec)
		}
	}
	expect("unknown executor", stranger, rec, "n", schemas.AnswerNotYou, 0)
	expect("executor that lacks what is required", arm, rec, "n", schemas.AnswerNotYou, 0)
	expect("no such job", one, schemas.Record{Tenant: "other", ID: rec.ID}, "n", schemas.AnswerGone, 0)
	expect("first", one, rec, "n1", schemas.AnswerGranted, 1)
	expect("the same again", one, rec, "n1", schemas.AnswerGranted, 1)
	expect("the same executor, another offer", one, rec, "n2", schemas.AnswerBusy, 0)
	expect("another executor", two, rec, "n1", schemas.AnswerBusy, 0)
	w.finish(one, attempt{Held: schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: 1}, nonce: "n1"})
	w.wait(g, rec, schemas.StateSucceeded)
	expect("after the end", one, rec, "n1", schemas.AnswerGone, 0)
}

// TestLargeSpecification travels by a signed request.
func TestLargeSpecification(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	s := spec()
	text := string(slices.Repeat([]byte("x"), schemas.MaxGrantedSpec))
	s.Files = map[string]schemas.File{"big": {Text: &text}}
	a := w.granted(e, w.submit(g, s))
	if a.grant.Spec != nil || a.grant.SpecURL == nil || a.grant.SpecObject.Size <= schemas.MaxGrantedSpec {
		t.Errorf("grant = %+v", a.grant)
	}
}

func TestSign(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1", "e2")
	g := w.gateway(nil)
	one, two := w.idle("e1", nil), w.idle("e2", nil)
	sum := schemas.Digest(make([]byte, 32))
	s := spec()
	s.Files = map[string]schemas.File{"a": {SHA256: sum, Size: 1}}
	a := w.granted(one, w.submit(g, s))
	for _, test := range []struct {
		name          string
		e             *fakeExecutor
		attempt       int
		get           []string
		put           []schemas.Object
		refused, stop bool
	}{
		{name: "input and result", e: one, attempt: 1, get: []string{sum}, put: []schemas.Object{{Name: schemas.ObjectResult, Size: 10, SHA256: sum}}},
		{name: "another executor", e: two, attempt: 1, get: []string{sum}, refused: true, stop: true},
		{name: "another attempt", e: one, attempt: 2, get: []string{sum}, refused: true, stop: true},
		{name: "an input that is not named", e: one, attempt: 1, get: []string{schemas.Digest([]byte("0123456789abcdef0123456789abcdef"))}, refused: true},
		{name: "too large", e: one, attempt: 1, put: []schemas.Object{{Name: schemas.ObjectResult, Size: schemas.MaxResultBytes + 1, SHA256: sum}}, refused: true},
		{name: "archive beyond the job's limit", e: one, attempt: 1, put: []schemas.Object{{Name: schemas.ObjectArchive, Size: 2 * s.Limits.OutputBytes, SHA256: sum}}, refused: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			var reply schemas.SignReply
			ask := schemas.Sign{Tenant: a.Tenant, Job: a.Job, Attempt: test.attempt, Get: test.get, Put: test.put}
			if err := test.e.queue.Ask(t.Context(), schemas.VerbSign, ask, &reply); err != nil {
				t.Fatal(err)
			}
			if (reply.Refused != "") != test.refused || reply.Stop != test.stop {
				t.Errorf("refused %q, stop %v", reply.Refused, reply.Stop)
			}
			if !test.refused && (len(reply.Get) != len(test.get) || len(reply.Put) != len(test.put)) {
				t.Errorf("reply = %+v", reply)
			}
		})
	}
}

func TestHelloRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	q := w.server.Executor(t, "e1", w.log)
	f := facts("e2", 1)
	var reply schemas.HelloReply
	if err := q.Ask(t.Context(), schemas.VerbHello, f, &reply); err != nil || reply.Refused == "" {
		t.Errorf("hello in another's name: %v, %+v", err, reply)
	}
	f = facts("e1", 1)
	f.Offers[0].Isolation = schemas.IsolationStrong
	if err := q.Ask(t.Context(), schemas.VerbHello, f, &reply); err != nil || reply.Refused == "" {
		t.Errorf("hello with an impossible offer: %v, %+v", err, reply)
	}
	if all := g.Executors(); len(all) != 0 {
		t.Errorf("executors = %v", all)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := q.Ask(ctx, schemas.VerbHello, f, &reply); err == nil {
		t.Error("asked after the end")
	}
}

// TestNoRoomForAnAttempt: a job that can never be claimed does not stay on offer.
func TestNoRoomForAnAttempt(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	jobs := w.server.Gateway(t, w.log).Jobs
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	entry, err := jobs.Get(t.Context(), key)
	if err != nil {
		t.Fatal(err)
	}
	rec.Labels = map[string]string{"a": strings.Repeat("x", schemas.MaxRecordBytes-len(entry.Value)-len(`,"labels":{"a":""}`))}
	data, err := json.Marshal(rec)
	if err != nil || len(data) != schemas.MaxRecordBytes {
		t.Fatalf("record has %d bytes: %v", len(data), err)
	}
	if _, err := jobs.Update(t.Context(), key, data, entry.Revision); err != nil {
		t.Fatal(err)
	}
	if reply := w.mustClaim(e, rec, "n"); reply.Answer != schemas.AnswerGone {
		t.Errorf("claim answered %s", reply.Answer)
	}
	if rec = w.wait(g, rec, schemas.StateDead); rec.Failure == nil {
		t.Errorf("record = %+v", rec)
	}
}

// TestSubmitTooLarge: no labels make a record that has no room for attempts.
func TestSubmitTooLarge(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	s := spec()
	s.Labels = map[string]string{}
	for i := range schemas.MaxLabels {
		s.Labels[string(rune('a'+i))] = strings.Repeat("\u2028", 63)
	}
	if _, _, err := g.Submit(t.Context(), submission(s)); !errors.Is(err, coordinator.ErrRecordTooLarge) {
		t.Errorf("Submit = %v", err)
	}
	for k := range s.Labels {
		s.Labels[k] = strings.Repeat("<", 63)
	}
	w.submit(g, s)
}
