package coordinator_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// aging is a clock that a test moves on.
type aging struct{ ahead atomic.Int64 }

func (a *aging) pass(d time.Duration) { a.ahead.Add(int64(d)) }

func (a *aging) now() time.Time { return time.Now().Add(time.Duration(a.ahead.Load())) }

func (a *aging) config(c *coordinator.Config) { c.Now = a.now }

// endSome submits jobs and cancels them: the cheapest way in which many can end.
func (w *world) endSome(g *gateway, n int, change func(i int, s *schemas.JobSpec)) (recs []schemas.Record) {
	w.Helper()
	var jobs []coordinator.Submission
	for i := range n {
		s := spec()
		change(i, &s)
		jobs = append(jobs, submission(s))
	}
	created, err := g.SubmitBatch(w.Context(), jobs, true)
	if err != nil {
		w.Fatal(err)
	}
	for _, c := range created {
		rec, err := g.Cancel(w.Context(), c.Record.Tenant, c.Record.ID)
		if err != nil || rec.State != schemas.StateCancelled {
			w.Fatalf("%s, %v", rec.State, err)
		}
		recs = append(recs, rec)
	}
	return recs
}

func labelled(i int, s *schemas.JobSpec) {
	s.Labels = map[string]string{"n": strconv.Itoa(i), "third": strconv.Itoa(i % 3)}
}

func keyed(i int, s *schemas.JobSpec) {
	labelled(i, s)
	s.IdempotencyKey = fmt.Sprintf("key-%d", i)
}

// inBucket counts the records in the bucket of jobs.
func (w *world) inBucket(q *jobqueue.Queue) (n int) {
	w.Helper()
	if err := q.Jobs.Keys(w.Context(), func(e jobqueue.Entry) {
		if !e.Deleted {
			n++
		}
	}); err != nil {
		w.Fatal(err)
	}
	return n
}

// moved waits until so many records are left in the bucket of jobs.
func (w *world) moved(left int) {
	w.Helper()
	q := w.queues.Gateway(w, w.log)
	w.eventually(fmt.Sprintf("%d records are left", left), func() bool { return w.inBucket(q) == left })
}

// TestHistory: jobs that ended some time ago leave the bucket, and nobody can tell.
func TestHistory(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	recs := w.endSome(g, schemas.MaxHistoryJobs+20, labelled)
	waiting := w.submit(g, spec())
	clock.pass(time.Minute)
	w.moved(20 + 1)
	late := w.gateway(clock.config)
	for name, g := range map[string]*gateway{"the one that moved them": g, "one that starts later": late} {
		for _, i := range []int{0, 100, schemas.MaxHistoryJobs - 1, schemas.MaxHistoryJobs + 19} {
			if got, err := g.Get(t.Context(), recs[i].Tenant, recs[i].ID); err != nil || got.State != schemas.StateCancelled || got.ID != recs[i].ID || got.Labels["n"] != strconv.Itoa(i) {
				t.Errorf("%s: job %d is %+v, %v", name, i, got, err)
			}
		}
		if got, err := g.Cancel(t.Context(), recs[0].Tenant, recs[0].ID); got.State != schemas.StateCancelled {
			t.Errorf("%s: cancelled again: %+v, %v", name, got, err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		if got, err := g.Wait(ctx, recs[0].Tenant, recs[0].ID, func(r schemas.Record) bool { return r.State.Terminal() }); err != nil {
			t.Errorf("%s: waited for: %+v, %v", name, got, err)
		}
		cancel()
		if _, err := g.Get(t.Context(), "other", recs[0].ID); !errors.Is(err, coordinator.ErrNotFound) {
			t.Errorf("%s: another tenant's job: %v", name, err)
		}
		want := map[schemas.State]int{schemas.StateCancelled: len(recs), schemas.StateQueued: 1}
		for state, n := range want {
			if got := g.Counts(schemas.SingleTenant)[state]; got != n {
				t.Errorf("%s: %d jobs are %s, want %d", name, got, state, n)
			}
		}
		all := slices.Clone(recs)
		slices.SortFunc(all, func(a, b schemas.Record) int { return schemas.CompareJobs(&b, &a) })
		w.checkList(g, coordinator.Filter{}, slices.Concat([]schemas.Record{waiting}, all))
		all = slices.DeleteFunc(all, func(r schemas.Record) bool { return r.Labels["third"] != "1" })
		w.checkList(g, coordinator.Filter{Labels: map[string]string{"third": "1"}, States: []schemas.State{schemas.StateCancelled}}, all)
		w.checkList(g, coordinator.Filter{States: []schemas.State{schemas.StateFailed}}, nil)
	}
}

// checkList reads a whole list in pages of several sizes.
func (w *world) checkList(g *gateway, f coordinator.Filter, want []schemas.Record) {
	w.Helper()
	for _, size := range []int{7, 100, coordinator.MaxList} {
		var got []schemas.Record
		for after := ""; ; {
			page, next, err := g.List(w.Context(), schemas.SingleTenant, f, after, size)
			if err != nil || len(page) > size {
				w.Fatalf("page of %d jobs, %v", len(page), err)
			}
			got = append(got, page...)
			if after = next; next == "" {
				break
			}
		}
		same := slices.EqualFunc(got, want, func(a, b schemas.Record) bool { return a.ID == b.ID })
		if !same {
			w.Errorf("%v in pages of %d: %d jobs, want %d, in their order", f, size, len(got), len(want))
		}
	}
}

// TestHistoryOfKeys: an idempotency key gives the job that it made, also from
// history, and from a gateway that is new.
func TestHistoryOfKeys(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	recs := w.endSome(g, schemas.MaxHistoryJobs, keyed)
	clock.pass(30 * time.Second)
	w.endSome(g, schemas.MaxHistoryJobs, labelled)
	clock.pass(20 * time.Second)
	w.moved(schemas.MaxHistoryJobs) // those with keys stay for longer
	if _, err := w.queues.Gateway(t, nil).Jobs.Get(t.Context(), schemas.RecordKey(recs[3].Tenant, recs[3].ID)); err != nil {
		t.Errorf("a job with a key has left the bucket: %v", err)
	}
	clock.pass(20 * time.Second)
	w.moved(0)
	for name, g := range map[string]*gateway{"the one that moved them": g, "one that starts later": w.gateway(clock.config)} {
		again := spec()
		keyed(5, &again)
		if rec, created, err := g.Submit(t.Context(), submission(again)); err != nil || created || rec.ID != recs[5].ID || rec.State != schemas.StateCancelled {
			t.Errorf("%s: submitted again: %v, %v, %+v", name, created, err, rec)
		}
		again.Args = append(again.Args, "something else")
		if _, _, err := g.Submit(t.Context(), submission(again)); !errors.Is(err, coordinator.ErrKeyReused) {
			t.Errorf("%s: another request: %v", name, err)
		}
		var batch []coordinator.Submission
		for i := range 3 {
			s := spec()
			keyed(10+i, &s)
			batch = append(batch, submission(s))
		}
		got, err := g.SubmitBatch(t.Context(), batch, true)
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i].Created || got[i].Record.ID != recs[10+i].ID {
				t.Errorf("%s: batch: %+v", name, got[i])
			}
		}
	}
	if n := w.inBucket(w.queues.Gateway(t, nil)); n != 0 {
		t.Errorf("%d new records", n)
	}
}

// TestHistoryOfTwoGateways: both move, and each job comes into one page.
func TestHistoryOfTwoGateways(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	one, two := w.gateway(clock.config), w.gateway(clock.config)
	recs := w.endSome(one, 3*schemas.MaxHistoryJobs, labelled)
	clock.pass(time.Minute)
	w.moved(0)
	q := w.queues.Gateway(t, w.log)
	seen := map[string]int{}
	ctx, cancel := context.WithCancel(t.Context())
	err := q.History.Watch(ctx, func(e jobqueue.Entry) {
		jobs, err := schemas.DecodeHistory(schemas.SingleTenant, e.Value)
		if err != nil {
			t.Error(err)
		}
		for _, job := range jobs {
			seen[job.Record.ID]++
		}
	}, cancel)
	if err != nil {
		t.Fatal(err)
	}
	for _, rec := range recs {
		if seen[rec.ID] != 1 {
			t.Errorf("job %s is in %d pages", rec.ID, seen[rec.ID])
		}
	}
	for _, g := range []*gateway{one, two} {
		if n := g.Counts(schemas.SingleTenant)[schemas.StateCancelled]; n != len(recs) {
			t.Errorf("%d jobs, want %d", n, len(recs))
		}
	}
}

// TestHistoryLeftBehind: records that stand in history, but could not leave the
// bucket, are found by an audit, and until then each job is there once.
func TestHistoryLeftBehind(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	q := w.queues.Gateway(t, w.log)
	first := w.gateway(clock.config)
	recs := w.endSome(first, schemas.MaxHistoryJobs, labelled)
	var jobs []schemas.HistoryJob
	for _, rec := range recs {
		e, err := q.Jobs.Get(t.Context(), schemas.RecordKey(rec.Tenant, rec.ID))
		if err != nil {
			t.Fatal(err)
		}
		jobs = append(jobs, schemas.HistoryJob{Revision: e.Revision, Record: rec})
	}
	page, err := schemas.EncodeHistory(schemas.SingleTenant, jobs)
	if err == nil {
		_, err = q.History.Create(t.Context(), schemas.HistoryKey(schemas.SingleTenant, 1), page)
	}
	if err != nil {
		t.Fatal(err)
	}
	quickAudit := func(c *coordinator.Config) { clock.config(c); c.Audit = 50 * time.Millisecond }
	for _, g := range []*gateway{first, w.gateway(quickAudit)} {
		w.eventually("each job is there once", func() bool {
			list, next, err := g.List(t.Context(), schemas.SingleTenant, coordinator.Filter{}, "", coordinator.MaxList)
			return err == nil && next == "" && len(list) == len(recs) && g.Counts(schemas.SingleTenant)[schemas.StateCancelled] == len(recs)
		})
	}
	w.moved(0)
}

// TestHistoryIsAmended: a record that changed once more, between the writing of its page
// and its leaving of the bucket, comes into that page, and into no other. One that an
// idempotency key made beside it goes.
func TestHistoryIsAmended(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	q := w.queues.Gateway(t, w.log)
	g := w.gateway(clock.config)
	recs := w.endSome(g, schemas.MaxHistoryJobs, keyed)
	clock.pass(2 * time.Minute)
	w.moved(0)
	purged, doubled := recs[7], recs[8]
	purged.PurgedUS = purged.EndedUS + 1
	doubled.CreatedUS++
	doubled.EndedUS++
	for _, rec := range []schemas.Record{purged, doubled} {
		data, err := json.Marshal(rec)
		if err == nil {
			_, err = q.Jobs.Create(t.Context(), schemas.RecordKey(rec.Tenant, rec.ID), data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	more := w.endSome(g, schemas.MaxHistoryJobs-2, labelled)
	clock.pass(2 * time.Minute)
	w.moved(0)
	late := w.gateway(clock.config)
	for _, g := range []*gateway{g, late} {
		w.eventually("each job is there once", func() bool {
			return g.Counts(schemas.SingleTenant)[schemas.StateCancelled] == len(recs)+len(more)
		})
		if got, err := g.Get(t.Context(), purged.Tenant, purged.ID); err != nil || got.PurgedUS != purged.PurgedUS {
			t.Errorf("what changed is %+v, %v", got, err)
		}
		if got, err := g.Get(t.Context(), doubled.Tenant, doubled.ID); err != nil || got.CreatedUS != recs[8].CreatedUS {
			t.Errorf("what was doubled is %+v, %v", got, err)
		}
	}
}

// TestHistoryExpires: outputs and records in a page expire with its last job, and
// a key whose job is gone makes a new one.
func TestHistoryExpires(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	recs := w.endSome(g, schemas.MaxHistoryJobs, keyed)
	clock.pass(2 * time.Hour) // a page does not go before a horizon has passed its jobs
	w.moved(0)
	other := w.gateway(clock.config)
	last := time.UnixMicro(recs[len(recs)-1].EndedUS)
	if due := g.DuePages(coordinator.Cutoffs{Records: last}, 10); len(due) != 0 {
		t.Errorf("due before the last job is: %+v", due)
	}
	cut := coordinator.Cutoffs{Records: last.Add(time.Microsecond), Purged: last}
	due := g.DuePages(cut, 10)
	if len(due) != 1 {
		t.Fatalf("due: %+v", due)
	}
	outputs, records, err := g.ExpirePage(t.Context(), due[0], cut)
	if err != nil || outputs != 0 || records != len(recs) {
		t.Errorf("expired %d, %d, %v", outputs, records, err)
	}
	if _, records, err := g.ExpirePage(t.Context(), due[0], cut); err != nil || records != 0 {
		t.Errorf("expired again: %d, %v", records, err)
	}
	for _, g := range []*gateway{g, other} {
		w.eventually("the jobs are gone", func() bool {
			_, err := g.Get(t.Context(), recs[7].Tenant, recs[7].ID)
			return errors.Is(err, coordinator.ErrNotFound) && len(g.Counts(schemas.SingleTenant)) == 0
		})
	}
	again := spec()
	keyed(7, &again)
	w.eventually("the key is free", func() bool {
		rec, created, err := other.Submit(t.Context(), submission(again))
		if err != nil && !errors.Is(err, coordinator.ErrRemoving) {
			t.Fatal(err)
		}
		return created && rec.ID == recs[7].ID && rec.State == schemas.StateQueued
	})
}

// TestHistoryIsBounded: of more jobs than are kept, those that ended first expire, a
// page at a time, whatever the time to keep them.
func TestHistoryIsBounded(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	first := w.endSome(g, schemas.MaxHistoryJobs, labelled)
	clock.pass(2 * time.Hour) // no page goes before a horizon has passed its jobs
	w.moved(0)
	second := w.endSome(g, schemas.MaxHistoryJobs, labelled)
	clock.pass(2 * time.Minute)
	w.moved(0)
	cut := func(most int) coordinator.Cutoffs { return coordinator.Cutoffs{Surplus: g.Surplus(most)} }
	for _, most := range []int{0, 2 * schemas.MaxHistoryJobs} {
		if due := g.DuePages(cut(most), 10); len(due) != 0 {
			t.Errorf("due of %d: %+v", most, due)
		}
	}
	most := 2*schemas.MaxHistoryJobs - 1
	due := g.DuePages(cut(most), 10)
	if len(due) != 1 {
		t.Fatalf("due: %+v", due)
	}
	if _, records, err := g.ExpirePage(t.Context(), due[0], cut(most)); err != nil || records != len(first) {
		t.Errorf("expired %d, %v; want %d", records, err, len(first))
	}
	if left := g.DuePages(cut(most), 10); len(left) != 0 {
		t.Errorf("still due: %+v", left)
	}
	if _, err := g.Get(t.Context(), schemas.SingleTenant, first[0].ID); !errors.Is(err, coordinator.ErrNotFound) {
		t.Errorf("one that ended first: %v", err)
	}
	if _, err := g.Get(t.Context(), schemas.SingleTenant, second[0].ID); err != nil {
		t.Errorf("one that ended last: %v", err)
	}
}

// TestHistoryWhileCutOff: a gateway whose watch could not tell of an end, because the
// record had left the bucket before, hears of it by the page.
func TestHistoryWhileCutOff(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	recs := w.endSome(g, schemas.MaxHistoryJobs, labelled)
	q := w.queues.Gateway(t, w.log)
	var ended atomic.Int64
	heard := func(c *coordinator.Config) {
		clock.config(c)
		c.OnEnded = func(schemas.Record, uint64, bool) { ended.Add(1) }
	}
	other := w.gateway(heard)
	ended.Store(0)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := other.Events(ctx, schemas.SingleTenant, coordinator.EventQuery{Now: true})
	if err != nil {
		t.Fatal(err)
	}
	// As if these had ended while other was cut off: in a page, and never in its watch.
	var jobs []schemas.HistoryJob
	for i, rec := range recs {
		id, err := schemas.NewJobID(time.UnixMicro(rec.CreatedUS), &counting{n: i})
		if err != nil {
			t.Fatal(err)
		}
		rec.ID = id
		jobs = append(jobs, schemas.HistoryJob{Revision: uint64(i) + 1, Record: rec})
	}
	page, err := schemas.EncodeHistory(schemas.SingleTenant, jobs)
	if err == nil {
		_, err = q.History.Create(t.Context(), schemas.HistoryKey(schemas.SingleTenant, 1), page)
	}
	if err != nil {
		t.Fatal(err)
	}
	told := map[string]bool{}
	timeout := time.After(patience)
	for len(told) < len(jobs) {
		select {
		case u := <-events:
			if u.Job != nil {
				told[u.Job.Job] = true
			}
		case <-timeout:
			t.Fatalf("%d of %d ends were told", len(told), len(jobs))
		}
	}
	if n := ended.Load(); n != int64(len(jobs)) {
		t.Errorf("%d ends were heard of, want %d", n, len(jobs))
	}
}

// counting is a source of bytes that differ by n.
type counting struct{ n int }

func (c *counting) Read(p []byte) (int, error) {
	clear(p)
	p[len(p)-1], p[len(p)-2] = byte(c.n), byte(c.n>>8)
	return len(p), nil
}

// TestEventsFromHistory: who comes back late is told of ends that stand in history.
func TestEventsFromHistory(t *testing.T) {
	t.Parallel()
	w, clock := newWorld(t), &aging{}
	g := w.gateway(clock.config)
	recs := w.endSome(g, schemas.MaxHistoryJobs, labelled)
	clock.pass(time.Minute)
	w.moved(0)
	late := w.gateway(clock.config) // its log of changes has nothing
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	events, err := late.Events(ctx, schemas.SingleTenant, coordinator.EventQuery{Filter: coordinator.Filter{Labels: map[string]string{"third": "2"}}})
	if err != nil {
		t.Fatal(err)
	}
	w.submit(late, spec()) // something that is told later
	told, last := map[string]int{}, uint64(0)
	timeout := time.After(patience)
	for len(told) < len(recs)/3 {
		select {
		case u := <-events:
			if u.Revision < last {
				t.Errorf("revision %d after %d", u.Revision, last)
			}
			if last = u.Revision; u.Job != nil {
				told[u.Job.Job]++
			}
		case <-timeout:
			t.Fatalf("%d of %d ends were told", len(told), len(recs)/3)
		}
	}
	for _, rec := range recs {
		want := 0
		if rec.Labels["third"] == "2" {
			want = 1
		}
		if told[rec.ID] != want {
			t.Errorf("job %s was told %d times, want %d", rec.Labels["n"], told[rec.ID], want)
		}
	}
}
