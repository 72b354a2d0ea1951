package history

import (
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// model is what an index should know: all jobs, in the order in which they were created.
type model struct{ jobs []schemas.HistoryJob }

// randomPages fills an index with pages that overlap much, with jobs of one
// instant within pages and between them. Each job's labels tell what the index can't: they
// are few, so that signatures collide with none.
func randomPages(r *rand.Rand) (*index, *model) {
	x, m := newIndex(), &model{}
	span := 1 + r.Int64N(3000)
	revisions := r.Perm(5000)
	for number := range uint64(1 + r.IntN(12)) {
		var jobs []schemas.HistoryJob
		for range 1 + r.IntN(60) {
			n := uint64(len(m.jobs) + len(jobs))
			job := ended(r.Int64N(span), n)
			job.Revision = uint64(revisions[n]) + 1
			rec := &job.Record
			switch r.IntN(4) {
			case 0:
				rec.ID = idOf(0, n)
			case 1:
				rec.ID = idOf(r.Int64N(1<<40), n)
			}
			rec.State = []schemas.State{schemas.StateSucceeded, schemas.StateFailed, schemas.StateCancelled}[r.IntN(3)]
			if r.IntN(2) == 0 {
				rec.Labels = map[string]string{"color": "red"}
			}
			jobs = append(jobs, job)
		}
		m.jobs = append(m.jobs, jobs...)
		x.learn(tenant, pageOf(number+1, 1000+number, jobs))
	}
	slices.SortFunc(m.jobs, func(a, b schemas.HistoryJob) int { return schemas.CompareJobs(&a.Record, &b.Record) })
	return x, m
}

func randomFilter(r *rand.Rand) (f Filter) {
	if r.IntN(2) == 0 {
		f.Labels = map[string]string{"color": "red"}
	}
	for _, s := range []schemas.State{schemas.StateSucceeded, schemas.StateFailed, schemas.StateCancelled, schemas.StateRunning} {
		if r.IntN(3) == 0 {
			f.States = append(f.States, s)
		}
	}
	return f
}

func (f Filter) selects(rec *schemas.Record) bool {
	return (len(f.States) == 0 || slices.Contains(f.States, rec.State)) && HasLabels(rec, f.Labels)
}

func markOf(job schemas.HistoryJob) Mark { return Mark{job.Record.CreatedUS, job.Record.ID} }

// older is the slow way to do [index.Older].
func (m *model) older(f Filter, before Mark, limit, scan int) (found []string, end Mark, done bool) {
	at := len(m.jobs)
	for at > 0 && markOf(m.jobs[at-1]).Compare(before) >= 0 {
		at--
	}
	for range scan {
		if at == 0 {
			return found, end, true
		}
		at--
		job := m.jobs[at]
		if end = markOf(job); f.selects(&job.Record) {
			if found = append(found, job.Record.ID); len(found) == limit {
				return found, end, false
			}
		}
	}
	return found, end, false
}

// randomMark is a job's, or beside one, or before or after all.
func (m *model) randomMark(r *rand.Rand) Mark {
	mark := markOf(m.jobs[r.IntN(len(m.jobs))])
	switch r.IntN(4) {
	case 0:
		mark.CreatedUS += r.Int64N(7) - 3
	case 1:
		mark.ID = ""
	case 2:
		mark = Mark{CreatedUS: []int64{0, 1 << 62}[r.IntN(2)]}
	}
	return mark
}

func TestOlder(t *testing.T) {
	t.Parallel()
	r := random(t)
	for range 60 {
		x, m := randomPages(r)
		for range 30 {
			f, before, limit, scan := randomFilter(r), m.randomMark(r), 1+r.IntN(40), 1+r.IntN(100)
			places, marks, end, done := x.Older(tenant, f, before, limit, scan)
			want, wantEnd, wantDone := m.older(f, before, limit, scan)
			var got []string
			for i, p := range places {
				if got = append(got, p.Job); marks[i].ID != p.Job || x.tenants[tenant].numbered[p.page].id(p.at) != p.Job {
					t.Fatalf("job %s has the mark %v", p.Job, marks[i])
				}
			}
			if !slices.Equal(got, want) || end != wantEnd || done != wantDone {
				t.Fatalf("%v before %v, %d of %d: %d jobs to %v, %v; want %d to %v, %v", f, before, limit, scan, len(got), end, done, len(want), wantEnd, wantDone)
			}
		}
		m.checkWhole(t, x, randomFilter(r), 1+r.IntN(20), 1+r.IntN(50))
	}
}

// checkWhole reads a whole list, from each end on.
func (m *model) checkWhole(t *testing.T, x *index, f Filter, limit, scan int) {
	t.Helper()
	var got, want []string
	for before, done := (Mark{CreatedUS: 1 << 62}), false; !done; {
		var places []Place
		if places, _, before, done = x.Older(tenant, f, before, limit, scan); len(places) > limit {
			t.Fatalf("%d places, want %d at most", len(places), limit)
		}
		for _, p := range places {
			got = append(got, p.Job)
		}
	}
	for _, job := range slices.Backward(m.jobs) {
		if f.selects(&job.Record) {
			want = append(want, job.Record.ID)
		}
	}
	if !slices.Equal(got, want) {
		t.Fatalf("%v by %d of %d: %d jobs, want %d, in their order", f, limit, scan, len(got), len(want))
	}
}

func TestChanged(t *testing.T) {
	t.Parallel()
	r := random(t)
	for range 60 {
		x, m := randomPages(r)
		byRevision := slices.SortedFunc(slices.Values(m.jobs), func(a, b schemas.HistoryJob) int { return cmp.Compare(a.Revision, b.Revision) })
		for range 30 {
			f, after, most := randomFilter(r), r.Uint64N(5000), 1+r.IntN(60)
			upTo := after + r.Uint64N(5000)
			var got, want []string
			for _, p := range x.Changed(tenant, f, after, upTo, most) {
				got = append(got, fmt.Sprint(p.Revision, p.Job))
			}
			for _, job := range byRevision {
				if after < job.Revision && job.Revision <= upTo && f.selects(&job.Record) && len(want) < most {
					want = append(want, fmt.Sprint(job.Revision, job.Record.ID))
				}
			}
			// What is more than was asked for is in its order, too.
			if len(got) < len(want) || !slices.Equal(got[:min(len(got), most)], want) {
				t.Fatalf("%v after %d up to %d: %d changes, want the first %d", f, after, upTo, len(got), len(want))
			}
		}
	}
}

func TestFind(t *testing.T) {
	t.Parallel()
	r := random(t)
	for range 30 {
		x, m := randomPages(r)
		counts := map[schemas.State]int{}
		for _, job := range m.jobs {
			rec := &job.Record
			counts[rec.State]++
			at, ok := x.Find(tenant, rec.ID)
			if !ok || at.Job != rec.ID || at.Revision != job.Revision || x.tenants[tenant].numbered[at.page].id(at.at) != rec.ID {
				t.Fatalf("job %s is at %+v, %v", rec.ID, at, ok)
			}
			if _, ok := x.Find("bob", rec.ID); ok {
				t.Fatal("found for another tenant")
			}
			for _, c := range []struct {
				mark     Mark
				revision uint64
				want     bool
			}{
				{markOf(job), job.Revision, true}, {markOf(job), job.Revision - 1, true}, {markOf(job), job.Revision + 1, false},
				{Mark{rec.CreatedUS + 1, rec.ID}, 1, false}, {Mark{rec.CreatedUS - 1, rec.ID}, 1, false},
			} {
				if got := x.Has(tenant, c.mark, c.revision); got != c.want {
					t.Fatalf("Has(%v, %d) = %v of job %d", c.mark, c.revision, got, job.Revision)
				}
			}
		}
		if got, hits := x.Counts(tenant); !maps.Equal(got, counts) || hits != 0 || x.total.Load() != int64(len(m.jobs)) {
			t.Fatalf("counts are %v of %d, want %v", got, x.total.Load(), counts)
		}
	}
	for _, id := range []string{"", "j", "x", "../j"} {
		if _, ok := newIndex().Find(tenant, id); ok {
			t.Errorf("%q is found", id)
		}
	}
}

// TestTwoJobsOfOneID: the key of a job that has expired has made another one. Until its
// page is heard of to be gone, both are there.
func TestTwoJobsOfOneID(t *testing.T) {
	t.Parallel()
	first, second := ended(0, 1), ended(5000, 10)
	first.Record.ID = idOf(0, 1)
	second.Record.ID = first.Record.ID
	x := newIndex()
	x.learn(tenant, pageOf(1, 50, []schemas.HistoryJob{first, ended(9000, 20)}))
	x.learn(tenant, pageOf(2, 60, []schemas.HistoryJob{ended(0, 30), second}))
	for _, job := range []schemas.HistoryJob{first, second} {
		if !x.Has(tenant, markOf(job), job.Revision) || x.Has(tenant, markOf(job), job.Revision+1) {
			t.Errorf("Has is wrong about revision %d", job.Revision)
		}
	}
	if at, ok := x.Find(tenant, first.Record.ID); !ok || at.Revision != second.Revision {
		t.Errorf("revision %d is found, want that of the second job", at.Revision)
	}
}
