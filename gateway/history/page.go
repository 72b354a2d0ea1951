package history

import (
	"cmp"
	"slices"
	"sort"

	"github.com/program-explorer/pe/schemas"
)

// page is what is known of a page without reading it.
type page struct {
	number   uint64
	revision uint64 // of the page itself
	jobs     []job  // in their order
	// from is when the first of them was created, in microseconds since the Unix epoch.
	from int64
	// instants are when each was, if that is not within 71 minutes for all.
	instants []int64
	// labels are the jobs', if any has some.
	labels []signature
	// revs are the jobs' revisions, less the lowest.
	revs          []uint32
	lowest, above uint64 // revisions of jobs: from, and below
	// byID are the places of jobs, in the order of their ids' random part.
	byID []uint8
	// odd has the ids that a job does not tell.
	odd                   map[int]string
	endedLast, purgedLast int64 // microseconds since the Unix epoch
	stored                int
	origins               []string // keys of the jobs whose stored results jobs here have
	oldest, newest        Mark
	// since is before which neither this page nor one after it on its shelf has a job: [shelf.reckon].
	since  int64
	counts [stateCodes]int32
	// tallies count the jobs of each campaign.
	tallies []tally
	hits    int
}

// stateCodes is how many states traits can tell.
const stateCodes = 8

func newPage(number, revision uint64, jobs []schemas.HistoryJob) *page {
	p := &page{number: number, revision: revision, jobs: make([]job, len(jobs)), revs: make([]uint32, len(jobs)), byID: make([]uint8, len(jobs)), lowest: ^uint64(0)}
	if len(jobs) > 0 {
		p.from = jobs[0].Record.CreatedUS
	}
	for i := range jobs {
		p.lowest, p.above = min(p.lowest, jobs[i].Revision), max(p.above, jobs[i].Revision+1)
		if p.instants == nil && jobs[i].Record.CreatedUS-p.from != int64(uint32(jobs[i].Record.CreatedUS-p.from)) {
			p.instants = make([]int64, len(jobs))
		}
		if p.labels == nil && len(jobs[i].Record.Labels) > 0 {
			p.labels = make([]signature, len(jobs))
		}
	}
	for i := range jobs {
		p.add(i, &jobs[i].Record)
		p.revs[i] = uint32(min(jobs[i].Revision-p.lowest, 1<<32-1))
		p.byID[i] = uint8(i)
	}
	p.tallies = talliesOf(jobs, p.jobs)
	p.oldest, p.newest = p.mark(0), p.mark(len(jobs)-1)
	slices.SortFunc(p.byID, func(a, b uint8) int { return cmp.Compare(p.jobs[a].high, p.jobs[b].high) })
	return p
}

func (p *page) add(i int, rec *schemas.Record) {
	j := compact(rec)
	if p.labels != nil {
		p.labels[i] = signatureOf(rec.Labels)
	}
	if p.instants != nil {
		p.instants[i] = rec.CreatedUS
	} else {
		j.after = uint32(rec.CreatedUS - p.from)
	}
	p.jobs[i] = j
	p.counts[j.traits&stateBits]++
	p.endedLast = max(p.endedLast, rec.EndedUS)
	p.purgedLast = max(p.purgedLast, rec.PurgedUS)
	if j.is(cached) {
		p.hits++
	}
	if j.is(stored) {
		p.stored++
		if rec.Source != nil {
			p.origins = append(p.origins, schemas.RecordKey(rec.Tenant, rec.Source.Job))
		}
	}
	if j.is(odd) {
		if p.odd == nil {
			p.odd = map[int]string{}
		}
		p.odd[i] = rec.ID
	}
}

func (p *page) id(i int) string {
	if id, ok := p.odd[i]; ok {
		return id
	}
	return p.jobs[i].id(p.created(i))
}

// created is when a job was, in microseconds since the Unix epoch.
func (p *page) created(i int) int64 {
	if p.instants != nil {
		return p.instants[i]
	}
	return p.from + int64(p.jobs[i].after)
}

// signature is that of a job's labels.
func (p *page) signature(i int) signature {
	if p.labels == nil {
		return 0
	}
	return p.labels[i]
}

func (p *page) mark(i int) Mark { return Mark{p.created(i), p.id(i)} }

func (p *page) rev(i int) uint64 { return p.lowest + uint64(p.revs[i]) }

// find is the place of a job, or -1.
func (p *page) find(id string, parts schemas.JobIDParts) int {
	from := sort.Search(len(p.byID), func(i int) bool { return p.jobs[p.byID[i]].high >= parts.High })
	for ; from < len(p.byID); from++ {
		i := int(p.byID[from])
		j := &p.jobs[i]
		if j.high != parts.High {
			return -1
		}
		if j.low == parts.Low && p.id(i) == id {
			return i
		}
	}
	return -1
}

// before is how many of the page's jobs come before a mark.
func (p *page) before(m Mark) int {
	return sort.Search(len(p.jobs), func(i int) bool {
		if c := p.created(i); c != m.CreatedUS {
			return c > m.CreatedUS
		}
		return p.id(i) >= m.ID
	})
}
