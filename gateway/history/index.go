package history

import (
	"cmp"
	"sync"
	"sync/atomic"

	"github.com/program-explorer/pe/schemas"
)

// index is what is known of all pages. It is derived from the bucket.
type index struct {
	mu      sync.RWMutex
	tenants map[string]*shelf
	// origins counts, by key, the jobs in pages that have another one's stored result.
	origins map[string]int
	// horizons are the tenants' that have one.
	horizons map[string]horizon
	// told is the newest revision of a page that the watch has come to: what is older
	// and comes from somebody else is out of date.
	told uint64
	// seen is the newest that the watch is done with.
	seen   atomic.Uint64
	loaded atomic.Bool
	// total is how many jobs there are.
	total atomic.Int64
}

// reach takes note that the watch has come to a revision, which is that of a page.
func (x *index) reach(tenant string, number, revision uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.told = revision
	if s := x.shelf(tenant); s.gone[number] <= revision {
		delete(s.gone, number)
	}
}

// pass takes note of a page that can't be read: its number is taken.
func (x *index) pass(tenant string, number uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.shelf(tenant)
	s.last = max(s.last, number)
}

func byNewest(a, b *page) int {
	return cmp.Or(a.newest.Compare(b.newest), cmp.Compare(a.number, b.number))
}

// learn takes note of a page, unless it is older than what is known.
func (x *index) learn(tenant string, p *page) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.shelf(tenant)
	s.last = max(s.last, p.number)
	if p.revision < max(x.told, s.gone[p.number]) || !x.take(s, p.number, p.revision) {
		return
	}
	for _, origin := range p.origins {
		x.origins[origin]++
	}
	x.total.Add(int64(len(p.jobs)))
	s.numbered[p.number] = p
	s.insert(p)
}

// forget takes note that a page is gone, as of its marker's revision.
func (x *index) forget(tenant string, number, revision uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.shelf(tenant)
	s.last = max(s.last, number) // which nobody gives to another page
	if revision > x.told {
		s.gone[number] = revision
	}
	x.take(s, number, revision)
}

// take takes a page out that is older than a revision; false if there is a newer one.
func (x *index) take(s *shelf, number, revision uint64) bool {
	old := s.numbered[number]
	if old == nil {
		return true
	}
	if old.revision >= revision {
		return false
	}
	x.total.Add(-int64(len(old.jobs)))
	delete(s.numbered, number)
	s.remove(old)
	for _, origin := range old.origins {
		if x.origins[origin]--; x.origins[origin] == 0 {
			delete(x.origins, origin)
		}
	}
	return true
}

// Place is where a job is.
type Place struct {
	Tenant string
	// Job is its id.
	Job string
	// Revision is the job's.
	Revision uint64

	page     uint64
	revision uint64 // the page's
	at       int
}

// Shared reports whether a job in a page has the stored result of this one.
func (x *index) Shared(tenant, id string) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.origins[schemas.RecordKey(tenant, id)] > 0
}

// Won is the attempt whose outputs are kept of a job, 0 for none; ok is false if
// there is no such job, or the number is not known without reading it.
func (x *index) Won(tenant, id string) (attempt int, ok bool) {
	place, ok := x.Find(tenant, id)
	if !ok {
		return 0, false
	}
	x.mu.RLock()
	defer x.mu.RUnlock()
	p := x.tenants[tenant].numbered[place.page]
	if p == nil || p.revision != place.revision {
		return 0, false
	}
	won := p.jobs[place.at].won
	return int(won), won != wonUnknown
}

// Tenants are those that have pages.
func (x *index) Tenants() (names []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for name, s := range x.tenants {
		if len(s.pages) > 0 {
			names = append(names, name)
		}
	}
	return names
}

// Counts adds up a tenant's jobs by state, and those that have another one's result.
func (x *index) Counts(tenant string) (counts map[schemas.State]int, hits int) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	counts = map[schemas.State]int{}
	if s := x.tenants[tenant]; s != nil {
		for _, p := range s.pages {
			for i, n := range p.counts {
				if n > 0 {
					counts[schemas.States[i]] += int(n)
				}
			}
			hits += p.hits
		}
	}
	return counts, hits
}
