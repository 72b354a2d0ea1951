package coordinator_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// reader reads a tenant's events and holds them to what they promise.
type reader struct {
	*world
	updates <-chan coordinator.JobUpdate
	stop    context.CancelFunc
	at      uint64 // revision of the last update
	told    uint64 // of the last event
	ends    map[string]schemas.State
}

func (w *world) events(g *gateway, q coordinator.EventQuery) *reader {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	updates, err := g.Events(ctx, schemas.SingleTenant, q)
	if err != nil {
		w.Fatal(err)
	}
	r := &reader{world: w, updates: updates, stop: cancel, ends: map[string]schemas.State{}}
	if first := r.next(); first.Job != nil || first.Text != nil {
		w.Errorf("the first update is %+v, want a revision alone", first)
	}
	return r
}

// next is the next update, which must not repeat anything.
func (r *reader) next() coordinator.JobUpdate {
	r.Helper()
	select {
	case <-time.After(patience):
		r.Fatal("no more events")
	case u, ok := <-r.updates:
		if !ok {
			r.Fatal("the stream ended")
		}
		r.check(u)
		return u
	}
	panic("unreachable")
}

func (r *reader) check(u coordinator.JobUpdate) {
	r.Helper()
	if u.Text != nil || u.Lost != nil {
		return
	}
	if u.Revision < r.at {
		r.Errorf("revision %d after %d", u.Revision, r.at)
	}
	r.at = u.Revision
	if u.Job == nil {
		return
	}
	if u.Revision <= r.told {
		r.Errorf("event of revision %d after one of %d", u.Revision, r.told)
	}
	r.told = u.Revision
	if before, ended := r.ends[u.Job.Job]; ended {
		r.Errorf("job %s is %s after it ended as %s", u.Job.Job, u.Job.State, before)
	}
	if u.Job.State.Terminal() {
		r.ends[u.Job.Job] = u.Job.State
	}
}

// untilEnded reads until so many jobs have ended.
func (r *reader) untilEnded(n int) *reader {
	r.Helper()
	for len(r.ends) < n {
		r.next()
	}
	return r
}

// submitted makes jobs with a label and, if asked to, cancels them; many at once.
func (w *world) submitted(g *gateway, n int, label string, cancel bool) {
	w.Helper()
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			for range n / 16 {
				s := spec()
				s.Labels = map[string]string{"campaign": label}
				rec, _, err := g.Submit(w.Context(), submission(s))
				if err == nil && cancel {
					_, err = g.Cancel(w.Context(), rec.Tenant, rec.ID)
				}
				if err != nil {
					w.Error(err)
				}
			}
		})
	}
	group.Wait()
}

func TestEvents(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g, other := w.gateway(nil), w.gateway(nil)
	w.executor("e1", 4, nil)
	all := w.events(g, coordinator.EventQuery{Now: true})
	mine := w.events(other, coordinator.EventQuery{Now: true, Filter: coordinator.Filter{Labels: map[string]string{"campaign": "mine"}}})
	ends := w.events(other, coordinator.EventQuery{Now: true, Filter: coordinator.Filter{States: []schemas.State{schemas.StateSucceeded}}})
	foreign := submission(spec())
	foreign.Tenant = "other"
	if _, _, err := g.Submit(t.Context(), foreign); err != nil {
		t.Fatal(err)
	}
	var group sync.WaitGroup
	group.Go(func() { w.submitted(g, 48, "mine", false) })
	group.Go(func() { w.submitted(other, 48, "other", false) })
	all.untilEnded(96)
	mine.untilEnded(48)
	ends.untilEnded(96)
	group.Wait()

	// The same stream goes on at the other gateway: with what is new, and nothing else.
	all.stop()
	again := w.events(other, coordinator.EventQuery{After: all.at})
	rec := w.submit(g, spec())
	again.untilEnded(1)
	if again.ends[rec.ID] != schemas.StateSucceeded {
		t.Errorf("told %v, want the end of %s alone", again.ends, rec.ID)
	}
}

// TestEventsFromTheBeginning: a coordinator that has just started tells of all
// jobs that it found, and of those after a revision.
func TestEventsFromTheBeginning(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	w.submitted(g, 160, "early", true)
	early := w.events(g, coordinator.EventQuery{}).untilEnded(160)
	w.submitted(g, 32, "late", true)
	g.stop()
	g = w.gateway(nil)
	w.events(g, coordinator.EventQuery{}).untilEnded(192)
	late := w.events(g, coordinator.EventQuery{After: early.at}).untilEnded(32)
	for id := range late.ends {
		if _, told := early.ends[id]; told {
			t.Errorf("job %s is told again", id)
		}
	}
}

// TestEventsOfALateReader: what it did not read in time it reads from the
// index: the end of every job, once, and nobody waited.
func TestEventsOfALateReader(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.store = &memory{}
	g := w.gateway(nil)
	const jobs = 2400 // each changes twice: more than is kept for readers
	late := w.events(g, coordinator.EventQuery{Now: true})
	w.submitted(g, jobs, "many", true)
	for range 3 { // they begin, and take nothing: nobody waits for them either
		w.events(g, coordinator.EventQuery{})
	}
	late.untilEnded(jobs)
	w.events(g, coordinator.EventQuery{}).untilEnded(jobs)
}

func TestEventsAfterWhatWasNeverWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	g := w.gateway(nil)
	w.submit(g, spec())
	if _, err := g.Events(t.Context(), schemas.SingleTenant, coordinator.EventQuery{After: 1000}); !errors.Is(err, coordinator.ErrRevision) {
		t.Errorf("got %v", err)
	}
}

// TestEventsWithOutput: what running jobs write is told in order, with offsets; what a
// reader takes late is not lost, and the jobs don't wait for it.
func TestEventsWithOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	before, after := w.submit(g, spec()), w.submit(g, spec())
	early := w.granted(e, before) // runs already
	r := w.events(g, coordinator.EventQuery{Now: true, Outputs: true})
	late := w.granted(e, after)
	line := strings.Repeat("x", 1000) + "\n"
	const lines = 1000
	for i := range lines {
		e.write(early, line, i%7 != 0) // some are lost on their way
		e.write(late, line, true)
	}
	w.finish(e, early)
	w.finish(e, late)
	w.wait(g, before, schemas.StateSucceeded) // nobody has read yet
	w.wait(g, after, schemas.StateSucceeded)
	got := map[string]int64{}
	for len(r.ends) < 2 || got[before.ID] < lines*int64(len(line)) || got[after.ID] < lines*int64(len(line)) {
		u := r.next()
		if u.Text == nil {
			continue
		}
		data, err := u.Text.Bytes()
		if err != nil || u.Text.Offset != got[u.Text.Job] || u.Text.Attempt != 1 || u.Stream != schemas.LiveStdout {
			t.Fatalf("%s %+v after %d bytes (%v)", u.Stream, *u.Text, got[u.Text.Job], err)
		}
		got[u.Text.Job] += int64(len(data))
	}
}

// TestEventsTellOfLostOutput: as the job's own do, once all that there is was told.
func TestEventsTellOfLostOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &hooked{Store: w.store}
	g := w.gateway(func(c *coordinator.Config) { c.Store = store })
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	r := w.events(g, coordinator.EventQuery{Now: true, Outputs: true})
	a := w.granted(e, rec)
	e.write(a, "told", true)
	for r.next().Text == nil { // the job is followed from now on
	}
	store.before(func(key string) error {
		if strings.HasSuffix(key, schemas.ObjectStdout) {
			return objstore.ErrNotFound
		}
		return nil
	})
	e.write(a, strings.Repeat("x", 3*schemas.StdioHead), false) // nothing of it comes here
	w.finish(e, a)
	for {
		if u := r.next(); u.Lost != nil {
			if u.Lost.Job != rec.ID || u.Lost.Attempt != 1 {
				t.Errorf("%+v", u.Lost)
			}
			return
		}
	}
}

func TestEventsEndWithTheCoordinator(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	g := w.gateway(nil)
	e := w.idle("e1", nil)
	w.granted(e, w.submit(g, spec()))
	r := w.events(g, coordinator.EventQuery{Now: true, Outputs: true})
	go g.stop()
	for range r.updates { // until it is closed
	}
}

// BenchmarkEventsResume is a reader that was away while 100,000 jobs ended, and
// how long a status takes meanwhile.
func BenchmarkEventsResume(b *testing.B) {
	w := newWorld(b)
	w.store = &memory{}
	g := w.gateway(nil)
	const jobs = 100_000
	for i := range 8 {
		w.submitted(g, jobs/8, fmt.Sprint(i), false)
	}
	rec := w.submit(g, spec())
	for b.Loop() {
		begin := time.Now()
		updates, err := g.Events(b.Context(), schemas.SingleTenant, coordinator.EventQuery{})
		if err != nil {
			b.Fatal(err)
		}
		slowest := time.Duration(0)
		for told := 0; told <= jobs; {
			if u := <-updates; u.Job == nil {
				continue
			}
			if told++; told%100 == 0 {
				asked := time.Now()
				if _, err := g.Get(b.Context(), rec.Tenant, rec.ID); err != nil {
					b.Fatal(err)
				}
				slowest = max(slowest, time.Since(asked))
			}
		}
		b.ReportMetric(float64(slowest.Microseconds()), "slowest-status-µs")
		b.ReportMetric(float64(jobs)/time.Since(begin).Seconds(), "events/s")
	}
}
