package coordinator_test

import (
	"encoding/json"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/schemas"
)

// reportedWith is the report of a success whose result was changed, inline or as an object.
func (e *fakeExecutor) reportedWith(a attempt, inline bool, change func(*schemas.Result)) schemas.Event {
	event := e.inlineResult(a)
	var r schemas.Result
	if err := json.Unmarshal(event.ResultInline, &r); err != nil {
		e.w.Fatal(err)
	}
	change(&r)
	if event.ResultInline = encoded(e.w, r); !inline {
		object := e.w.put(a.Held, schemas.ObjectResult, r)
		event.ResultInline, event.Result = nil, &object
	}
	return event
}

// TestResultWithoutLogs: logs that a result names must be in the store as it says,
// as its archive must.
func TestResultWithoutLogs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	for name, change := range map[string]func(attempt, *schemas.Result){
		"stdout was never stored": func(_ attempt, r *schemas.Result) {
			r.Stdout.Log = &schemas.Object{Name: schemas.ObjectStdout, Size: 1, SHA256: schemas.Digest(make([]byte, 32))}
		},
		"stderr was never stored": func(_ attempt, r *schemas.Result) {
			r.Stderr.Log = &schemas.Object{Name: schemas.ObjectStderr, Size: 1, SHA256: schemas.Digest(make([]byte, 32))}
		},
		"stderr is another object": func(a attempt, r *schemas.Result) {
			log := w.putBytes(a.Held, schemas.ObjectStdout, []byte("log"))
			r.Stdout.Log, r.Stderr.Log = &log, &log
		},
		"stdout has another size": func(a attempt, r *schemas.Result) {
			log := w.putBytes(a.Held, schemas.ObjectStdout, []byte("log"))
			log.Size++
			r.Stdout.Log = &log
		},
		"stderr has no digest": func(a attempt, r *schemas.Result) {
			log := w.putBytes(a.Held, schemas.ObjectStderr, []byte("log"))
			log.SHA256 = ""
			r.Stderr.Log = &log
		},
	} {
		for _, inline := range []bool{true, false} {
			rec := w.submit(g, spec())
			a := w.granted(e, rec)
			e.mustReport(a, e.reportedWith(a, inline, func(r *schemas.Result) { change(a, r) }), schemas.VerdictAccepted)
			rec = w.wait(g, rec, schemas.StateQueued, schemas.StateSucceeded)
			if f := rec.Attempts[0].Failure; f == nil || f.Code != schemas.FailUpload || rec.HasResult() {
				t.Errorf("%s, inline %t: record %+v", name, inline, rec)
			}
		}
	}
}

// TestLogsCostWhoHasThem: the store is asked for what a result names, and for nothing else.
func TestLogsCostWhoHasThem(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &asked{Store: w.store}
	g := w.gateway(func(c *coordinator.Config) { c.Store = store })
	e := w.idle("e1", nil)
	for _, test := range []struct {
		inline, logs bool
		want         string
	}{
		{true, false, ""},
		{false, false, schemas.ObjectResult},
		{true, true, schemas.ObjectStdout + " " + schemas.ObjectStderr},
		{false, true, schemas.ObjectResult + " " + schemas.ObjectStdout + " " + schemas.ObjectStderr},
	} {
		rec := w.submit(g, spec())
		a := w.granted(e, rec)
		event := e.reportedWith(a, test.inline, func(r *schemas.Result) {
			if test.logs {
				stdout, stderr := w.putBytes(a.Held, schemas.ObjectStdout, []byte("out")), w.putBytes(a.Held, schemas.ObjectStderr, []byte("err"))
				r.Stdout.Log, r.Stderr.Log = &stdout, &stderr
			}
		})
		store.since()
		e.mustReport(a, event, schemas.VerdictAccepted)
		if got := store.since(); got != test.want {
			t.Errorf("inline %t, logs %t: asked for %q, want %q", test.inline, test.logs, got, test.want)
		}
		w.wait(g, rec, schemas.StateSucceeded)
	}
}
