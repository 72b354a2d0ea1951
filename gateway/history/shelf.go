package history

import (
	"math"
	"slices"
	"sort"
)

// shelf has a tenant's pages.
type shelf struct {
	pages    []*page // by their newest job, the oldest first
	numbered map[uint64]*page
	// keys finds the jobs whose ids tell no time; odd counts those whose ids tell a wrong one.
	keys keyRefs
	odd  int
	last uint64 // the highest number that a page has had
	// gone has, by number, markers of pages that the watch is yet to come to.
	gone map[uint64]uint64
}

// shelf is a tenant's, made if it has none.
func (x *index) shelf(tenant string) *shelf {
	s := x.tenants[tenant]
	if s == nil {
		s = &shelf{numbered: map[uint64]*page{}, gone: map[uint64]uint64{}}
		x.tenants[tenant] = s
	}
	return s
}

func (s *shelf) insert(p *page) {
	at, _ := slices.BinarySearchFunc(s.pages, p, byNewest)
	s.pages = slices.Insert(s.pages, at, p)
	s.reckon(at)
	s.keys.add(p, s.numbered)
	s.odd += len(p.odd)
}

func (s *shelf) remove(p *page) {
	if at, found := slices.BinarySearchFunc(s.pages, p, byNewest); found {
		s.pages = slices.Delete(s.pages, at, at+1)
		s.reckon(at - 1)
		s.odd -= len(p.odd)
	}
}

// reckon puts right from where on no page has an older job, after the one at a place has changed.
func (s *shelf) reckon(at int) {
	since := int64(math.MaxInt64)
	if at+1 < len(s.pages) {
		since = s.pages[at+1].since
	}
	for i := min(at, len(s.pages)-1); i >= 0; i-- {
		p := s.pages[i]
		since = min(since, p.oldest.CreatedUS)
		if p.since == since && i < at {
			return
		}
		p.since = since
	}
}

// spanning calls each for the pages that may have a job which was created between
// two instants, until it says no.
func (s *shelf) spanning(from, to int64, each func(*page) bool) {
	first := sort.Search(len(s.pages), func(i int) bool { return s.pages[i].newest.CreatedUS >= from })
	for _, p := range s.pages[first:] {
		if p.since > to || p.oldest.CreatedUS <= to && !each(p) {
			return
		}
	}
}
