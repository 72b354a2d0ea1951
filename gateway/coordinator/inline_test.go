package coordinator_test

import (
	"crypto/rand"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// TestInline: what is small stands in the record, what is large is an object.
func TestInline(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	large := spec()
	large.Args = []string{strings.Repeat("a", schemas.MaxInline)}
	for _, test := range []struct {
		name         string
		spec         schemas.JobSpec
		inline       bool
		stdout       int
		resultInline bool
	}{
		{"small", spec(), true, 100, true},
		{"large specification", large, false, 100, true},
		{"long output", spec(), true, schemas.MaxInline, false},
	} {
		rec := w.submit(g, test.spec)
		if (rec.SpecInline != nil) != test.inline || (rec.Spec.Name == "") != test.inline {
			t.Errorf("%s: inline %t, object %+v", test.name, rec.SpecInline != nil, rec.Spec)
		}
		got, err := g.SpecOf(t.Context(), rec.Tenant, rec.ID)
		if err != nil || len(got.Args) != len(test.spec.Args) || got.Args[0] != test.spec.Args[0] {
			t.Errorf("%s: specification %+v, %v", test.name, got, err)
		}
		a := w.granted(e, rec)
		e.write(a, strings.Repeat("x", test.stdout), false)
		event := e.inlineResult(a)
		if !test.resultInline {
			event = e.result(a, 0)
		}
		e.mustReport(a, event, schemas.VerdictAccepted)
		if rec = w.wait(g, rec, schemas.StateSucceeded); (rec.ResultInline != nil) != test.resultInline {
			t.Errorf("%s: record %+v", test.name, rec)
		}
		if w.stored(a.Held, schemas.ObjectResult) == test.resultInline {
			t.Errorf("%s: result stored: %t", test.name, !test.resultInline)
		}
	}
}

// TestNoRoomInline: a result for which the record has no room is stored by the gateway.
func TestNoRoomInline(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("e", 40)
	w := newWorld(t, long)
	g := w.gateway(nil)
	e := w.idle(long, nil)
	s := spec()
	s.Args = []string{strings.Repeat("a", 500)}
	s.Labels = map[string]string{}
	for i := range 12 {
		s.Labels[fmt.Sprint("label-", i)] = strings.Repeat("b", schemas.MaxLabelBytes)
	}
	job := submission(s)
	job.Image.Reference = strings.Repeat("r", 300)
	rec, _, err := g.Submit(t.Context(), job)
	if err != nil {
		t.Fatal(err)
	}
	// More of each is cut, where it has no room.
	handback := schemas.NewFailure(schemas.FailHandback, strings.Repeat("m", 80))
	for range 10 {
		a := w.granted(e, rec)
		e.mustReport(a, schemas.Event{Tenant: a.Tenant, Nonce: a.nonce, Failure: handback}, schemas.VerdictAccepted)
	}
	a := w.granted(e, rec)
	e.write(a, strings.Repeat("x", 1500), false)
	event := e.inlineResult(a)
	e.mustReport(a, event, schemas.VerdictAccepted)
	rec = w.wait(g, rec, schemas.StateSucceeded)
	if rec.SpecInline == nil || rec.ResultInline != nil || rec.Result == nil || rec.Result.Size != int64(len(event.ResultInline)) || !w.stored(a.Held, schemas.ObjectResult) {
		t.Errorf("result %+v of %d bytes, %d bytes inline", rec.Result, len(event.ResultInline), len(rec.ResultInline))
	}
}

func newJob(t testing.TB) string {
	t.Helper()
	id, err := schemas.NewJobID(time.Now(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// TestReports by request: the same rules as on the stream.
func TestReports(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1", "e2")
	g := w.gateway(nil)
	e, other := w.idle("e1", nil), w.idle("e2", nil)
	rec := w.submit(g, spec())
	a := w.granted(e, rec)
	event := e.inlineResult(a)
	other.mustReport(a, event, schemas.VerdictRefused)
	wrong := event
	wrong.Nonce = "wrong"
	e.mustReport(a, wrong, schemas.VerdictRefused)
	e.mustReport(a, event, schemas.VerdictAccepted)
	e.mustReport(a, event, schemas.VerdictRepeated)
	e.report(a.Held, schemas.EventResult, event) // both ways, if an answer is lost
	if rec = w.wait(g, rec, schemas.StateSucceeded); len(rec.Attempts) != 1 || rec.ResultInline == nil {
		t.Errorf("record %+v", rec)
	}
}

// TestBadResults: a result that does not say what the report does is the executor's
// failure, whether the report holds it or names it.
func TestBadResults(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	for name, spoil := range map[string]func(*schemas.Result){
		"another job":     func(r *schemas.Result) { r.Job = newJob(t) },
		"another attempt": func(r *schemas.Result) { r.Attempt++ },
		"another outcome": func(r *schemas.Result) { one := 1; r.Outcome.ExitCode = &one },
		"an archive that was not reported": func(r *schemas.Result) {
			r.Archive = &schemas.Object{Name: schemas.ObjectArchive, SHA256: schemas.Digest(make([]byte, 32))}
		},
		"no result": func(r *schemas.Result) { *r = schemas.Result{} },
	} {
		for _, inline := range []bool{true, false} {
			rec := w.submit(g, spec())
			a := w.granted(e, rec)
			e.mustReport(a, e.reportedWith(a, inline, spoil), schemas.VerdictAccepted)
			rec = w.wait(g, rec, schemas.StateQueued)
			if f := rec.Attempts[0].Failure; f == nil || f.Code != schemas.FailUpload {
				t.Errorf("%s: attempt %+v", name, rec.Attempts[0])
			}
		}
	}
}
