package history

import (
	"cmp"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// Filter selects jobs: those in one of the states (any, if there are none) that
// have all of the labels. What the index gives has them most probably: whoever
// reads a job must look.
type Filter struct {
	States []schemas.State
	Labels map[string]string
}

func (f Filter) compile() (want func(p *page, i int) bool) {
	states, labels := [stateCodes]bool{}, signatureOf(f.Labels)
	for i, s := range schemas.States {
		states[i] = len(f.States) == 0 || slices.Contains(f.States, s)
	}
	return func(p *page, i int) bool { return states[p.jobs[i].traits&stateBits] && p.signature(i).may(labels) }
}

// Older lists a tenant's jobs that come before a mark, the newest first: the first
// limit that the filter may select, looking at scan jobs at most. end is the last that was
// looked at; done says that none is left behind it.
func (x *index) Older(tenant string, f Filter, before Mark, limit, scan int) (places []Place, marks []Mark, end Mark, done bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := x.tenants[tenant]
	if s == nil {
		return nil, nil, end, true
	}
	want := f.compile()
	w := s.walk(before)
	for range scan {
		p, i := w.next()
		if p == nil {
			return places, marks, end, true
		}
		end = p.mark(i)
		if !want(p, i) {
			continue
		}
		places = append(places, Place{tenant, end.ID, p.rev(i), p.number, p.revision, i})
		marks = append(marks, end)
		if len(places) == limit {
			return places, marks, end, false
		}
	}
	return places, marks, end, false
}

// walk goes through the jobs of pages that may overlap, from new to old.
type walk struct {
	pages []*page // yet to be begun, the one with the newest job last
	open  []opened
}

// opened is a page of which the first left jobs are yet to be given.
type opened struct {
	*page
	left int
}

func (s *shelf) walk(before Mark) *walk {
	w := &walk{}
	for i, p := range s.pages {
		if p.newest.Compare(before) < 0 {
			w.pages = s.pages[:i+1]
			continue
		}
		if left := p.before(before); left > 0 {
			w.open = append(w.open, opened{p, left})
		}
	}
	return w
}

// next is the newest job that is left; nil if none is.
func (w *walk) next() (*page, int) {
	best := -1
	for i := range w.open {
		if best < 0 || w.open[i].newer(w.open[best]) {
			best = i
		}
	}
	if n := len(w.pages); n > 0 && (best < 0 || w.pages[n-1].newest.Compare(w.open[best].mark(w.open[best].left-1)) > 0) {
		w.open = append(w.open, opened{w.pages[n-1], len(w.pages[n-1].jobs)})
		w.pages, best = w.pages[:n-1], len(w.open)-1
	}
	if best < 0 {
		return nil, 0
	}
	o := &w.open[best]
	p, i := o.page, o.left-1
	if o.left--; o.left == 0 {
		w.open = slices.Delete(w.open, best, best+1)
	}
	return p, i
}

func (o opened) newer(than opened) bool {
	if a, b := o.created(o.left-1), than.created(than.left-1); a != b {
		return a > b
	}
	return o.mark(o.left-1).Compare(than.mark(than.left-1)) > 0
}

// Changed lists those of a tenant's jobs that the filter may select whose
// revisions are after one and up to another: the first so many, in their order.
func (x *index) Changed(tenant string, f Filter, after, upTo uint64, most int) (first []Place) {
	want := f.compile()
	for _, p := range x.after(tenant, after) {
		if p.lowest > upTo {
			break
		}
		for i := range p.jobs {
			if rev := p.rev(i); after < rev && rev <= upTo && want(p, i) {
				first = append(first, Place{tenant, p.id(i), rev, p.number, p.revision, i})
			}
		}
		if len(first) >= most {
			slices.SortFunc(first, func(a, b Place) int { return cmp.Compare(a.Revision, b.Revision) })
			first = first[:most]
			upTo = first[most-1].Revision
		}
	}
	slices.SortFunc(first, func(a, b Place) int { return cmp.Compare(a.Revision, b.Revision) })
	return first
}

// HasLabels reports whether a job has all of the labels.
func HasLabels(rec *schemas.Record, labels map[string]string) bool {
	for k, v := range labels {
		if got, ok := rec.Labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}
