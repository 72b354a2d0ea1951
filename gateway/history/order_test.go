package history

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// version is a page as it was written, or the marker of one that is gone.
type version struct {
	number, revision uint64
	page             *page // nil for a marker
}

// randomVersions are what was written of a few pages, in that order. A page that is
// gone does not come again.
func randomVersions(r *rand.Rand) (all []version) {
	gone := map[uint64]bool{}
	jobs := map[uint64][]schemas.HistoryJob{}
	for revision := uint64(1); revision <= 20; revision++ {
		number := 1 + r.Uint64N(4)
		switch {
		case gone[number]:
			continue
		case jobs[number] == nil:
			jobs[number] = some(1+r.IntN(5), 100*number)
			for i := range jobs[number] {
				jobs[number][i].Record.Archive = &schemas.Object{}
				if r.IntN(2) == 0 {
					jobs[number][i].Record.Source = &schemas.Source{Job: idOf(1, r.Uint64N(3))}
				}
			}
		case r.IntN(4) == 0:
			gone[number] = true
			all = append(all, version{number, revision, nil})
			continue
		}
		rest := slices.Clone(jobs[number])
		for i := range rest {
			if r.IntN(4) == 0 {
				rest[i].Record.PurgedUS = 1
			}
		}
		all = append(all, version{number, revision, pageOf(number, revision, rest)})
		jobs[number] = rest
	}
	return all
}

func (x *index) hear(v version) {
	if v.page == nil {
		x.forget(tenant, v.number, v.revision)
		return
	}
	x.learn(tenant, v.page)
}

// watched hears as the watch does.
func (x *index) watched(v version) {
	x.reach(tenant, v.number, v.revision)
	x.hear(v)
}

// describe tells what the index knows.
func (x *index) describe() string {
	s := x.shelf(tenant)
	text := ""
	for _, p := range s.pages {
		text += fmt.Sprint(p.number, p.revision, " ")
	}
	return fmt.Sprint(text, len(s.numbered), s.last, x.total.Load(), slices.Sorted(maps.Keys(x.origins)), x.origins)
}

// TestOrderDoesNotMatter: writers tell of their own pages before the watch does, or long
// after; the watch leaves out what was overwritten.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := random(t)
	for range 1000 {
		versions := randomVersions(r)
		want, got := newIndex(), newIndex()
		for _, v := range versions {
			want.watched(v)
		}
		var writers []version
		for _, i := range r.Perm(len(versions)) {
			if r.IntN(2) == 0 {
				writers = append(writers, versions[i])
			}
		}
		for i, v := range versions {
			for len(writers) > 0 && r.IntN(3) == 0 {
				got.hear(writers[0])
				writers = writers[1:]
			}
			overwritten := slices.ContainsFunc(versions[i+1:], func(later version) bool { return later.number == v.number })
			if !overwritten || r.IntN(2) == 0 {
				got.watched(v)
			}
		}
		for _, v := range writers {
			got.hear(v)
		}
		if got.describe() != want.describe() || len(got.shelf(tenant).gone) > 0 {
			t.Fatalf("got  %s, %v\nwant %s", got.describe(), got.shelf(tenant).gone, want.describe())
		}
	}
}

// TestNoWayBack: a page that this gateway has removed is not brought back by the
// watch, which comes to it later.
func TestNoWayBack(t *testing.T) {
	t.Parallel()
	x := newIndex()
	old := version{1, 5, pageOf(1, 5, some(3, 0))}
	x.hear(old)
	x.hear(version{1, 9, nil})
	x.watched(old)
	if x.total.Load() != 0 {
		t.Error("the watch brought it back")
	}
	x.watched(version{1, 9, nil})
	x.hear(old)
	if x.total.Load() != 0 || len(x.shelf(tenant).gone) > 0 {
		t.Error("a writer that was late brought it back")
	}
}

// TestShared: whose result somebody has is known until nobody has it any more.
func TestShared(t *testing.T) {
	t.Parallel()
	x := newIndex()
	job := ended(0, 1)
	job.Record.Source, job.Record.Archive = &schemas.Source{Job: idOf(7, 7)}, &schemas.Object{}
	other := job
	other.Record.ID = idOf(1, 2)
	shared := func() bool { return x.Shared(tenant, idOf(7, 7)) }
	x.learn(tenant, pageOf(1, 1, []schemas.HistoryJob{job, ended(1, 3)}))
	x.learn(tenant, pageOf(2, 2, []schemas.HistoryJob{other}))
	if !shared() || x.Shared("bob", idOf(7, 7)) || x.Shared(tenant, job.Record.ID) {
		t.Error("it is not known who shares a result")
	}
	job.Record.PurgedUS = 1
	x.learn(tenant, pageOf(1, 3, []schemas.HistoryJob{job, ended(1, 3)}))
	if !shared() {
		t.Error("the second is forgotten with the first")
	}
	if x.forget(tenant, 2, 4); shared() || len(x.origins) != 0 {
		t.Errorf("shared by nobody: %v", x.origins)
	}
}
