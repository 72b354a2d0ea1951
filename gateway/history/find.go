package history

import (
	"cmp"
	"slices"
	"sort"

	"github.com/program-explorer/pe/schemas"
)

// Find looks a job up.
func (x *index) Find(tenant, id string) (found Place, ok bool) {
	if !schemas.ValidJobID(id) {
		return found, false
	}
	parts := schemas.SplitJobID(id)
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := x.tenants[tenant]
	if s == nil {
		return found, false
	}
	look := func(p *page) bool {
		if i := p.find(id, parts); i >= 0 && p.rev(i) > found.Revision {
			found, ok = Place{tenant, id, p.rev(i), p.number, p.revision, i}, true
		}
		return true
	}
	if parts.TimeMS == 0 {
		s.keys.find(parts.High, s.numbered, look)
	} else {
		s.spanning(int64(parts.TimeMS)*1000, int64(parts.TimeMS)*1000+999, look)
	}
	if s.odd > 0 && !ok {
		for _, p := range s.pages {
			look(p)
		}
	}
	return found, ok
}

// Has reports whether a job is there as it was at a revision, or later.
func (x *index) Has(tenant string, m Mark, revision uint64) (has bool) {
	parts := schemas.SplitJobID(m.ID)
	x.mu.RLock()
	defer x.mu.RUnlock()
	s := x.tenants[tenant]
	if s == nil {
		return false
	}
	s.spanning(m.CreatedUS, m.CreatedUS, func(p *page) bool {
		i := p.find(m.ID, parts)
		has = i >= 0 && p.created(i) == m.CreatedUS && p.rev(i) >= revision
		return !has
	})
	return has
}

// keyRefs find the pages of jobs whose ids are derived from keys, and tell no time:
// sorted, but for those of the last pages. What they say of pages that are gone is
// left out, and dropped some time.
type keyRefs struct {
	sorted []keyRef
	recent []uint64 // numbers of pages
}

type keyRef struct {
	high uint64
	page uint32
}

// recentPages is how many pages are looked through one by one.
const recentPages = 16

func (k *keyRefs) add(p *page, pages map[uint64]*page) {
	if k.recent = append(k.recent, p.number); len(k.recent) > recentPages {
		k.merge(pages)
	}
}

// merge sorts in what the last pages have.
func (k *keyRefs) merge(pages map[uint64]*page) {
	var fresh []keyRef
	for _, number := range k.recent {
		if p := pages[number]; p != nil && number < 1<<32 {
			for i := range p.jobs {
				if p.jobs[i].is(derived) {
					fresh = append(fresh, keyRef{p.jobs[i].high, uint32(number)})
				}
			}
		}
	}
	k.recent = k.recent[:0]
	slices.SortFunc(fresh, byHigh)
	k.sorted = slices.DeleteFunc(k.sorted, func(r keyRef) bool { return pages[uint64(r.page)] == nil })
	old := len(k.sorted)
	k.sorted = append(k.sorted, fresh...)
	for to := len(k.sorted) - 1; len(fresh) > 0 && old > 0; to-- {
		if byHigh(k.sorted[old-1], fresh[len(fresh)-1]) > 0 {
			k.sorted[to], old = k.sorted[old-1], old-1
		} else {
			k.sorted[to], fresh = fresh[len(fresh)-1], fresh[:len(fresh)-1]
		}
	}
	copy(k.sorted, fresh)
	k.sorted = slices.Compact(k.sorted) // of pages that were rewritten
}

func byHigh(a, b keyRef) int { return cmp.Or(cmp.Compare(a.high, b.high), cmp.Compare(a.page, b.page)) }

// find calls each for the pages that may have a job.
func (k *keyRefs) find(high uint64, pages map[uint64]*page, each func(*page) bool) {
	for _, number := range k.recent {
		if p := pages[number]; p != nil {
			each(p)
		}
	}
	from := sort.Search(len(k.sorted), func(i int) bool { return k.sorted[i].high >= high })
	for ; from < len(k.sorted) && k.sorted[from].high == high; from++ {
		if p := pages[uint64(k.sorted[from].page)]; p != nil {
			each(p)
		}
	}
}
