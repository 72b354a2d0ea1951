package coordinator

import (
	"sort"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// changesKept is how many changes of jobs are remembered for those who follow
// all jobs of a tenant. Who is further behind reads the index: it costs more, and
// tells no state that is over.
const changesKept = 4096

// changeLog is what the watch of the bucket told last, in its order: that of
// revisions, without one left out. What this coordinator writes itself it
// knows earlier, but not yet all that was written before.
type changeLog struct {
	mu      sync.Mutex
	changes []change // a ring, once it is full: the oldest is at begin
	begin   int
	// last is the newest revision that was told, gone the newest that was forgotten.
	last, gone uint64
	told       int
	readers    map[string]map[*changeReader]struct{} // by tenant
}

type change struct {
	tenant string
	rev    uint64
	event  schemas.JobChange
}

// changeReader is woken by changes of its tenant, and now and then by others'.
type changeReader struct{ woken chan struct{} }

func newChangeLog() *changeLog { return &changeLog{readers: map[string]map[*changeReader]struct{}{}} }

// tell adds a change. It waits for nobody.
func (l *changeLog) tell(rec *schemas.Record, rev uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rev <= l.last {
		return // the watch began anew
	}
	l.last = rev
	c := change{rec.Tenant, rev, rec.Event()}
	if len(l.changes) < changesKept {
		l.changes = append(l.changes, c)
	} else {
		l.gone = l.changes[l.begin].rev
		l.changes[l.begin] = c
		l.begin = (l.begin + 1) % changesKept
	}
	wake(l.readers[rec.Tenant])
	if l.told++; l.told%(changesKept/2) == 0 {
		// Those whose tenants are quiet would fall out of the ring with their next change.
		for _, readers := range l.readers {
			wake(readers)
		}
	}
}

func wake(readers map[*changeReader]struct{}) {
	for r := range readers {
		select {
		case r.woken <- struct{}{}:
		default:
		}
	}
}

// passed takes note of a revision of which there is nothing to tell.
func (l *changeLog) passed(rev uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = max(l.last, rev)
}

func (l *changeLog) newest() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

// after returns up to most of a tenant's changes after a revision, and the
// revision up to which these are all; ok is false if some are forgotten.
func (l *changeLog) after(tenant string, rev uint64, most int) (changes []change, upTo uint64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rev < l.gone {
		return nil, rev, false
	}
	at := func(i int) *change { return &l.changes[(l.begin+i)%len(l.changes)] }
	from := sort.Search(len(l.changes), func(i int) bool { return at(i).rev > rev })
	for i := from; i < len(l.changes); i++ {
		c := at(i)
		if c.tenant != tenant {
			continue
		}
		if len(changes) == most {
			return changes, changes[most-1].rev, true
		}
		changes = append(changes, *c)
	}
	return changes, max(rev, l.last), true
}

// read begins to wake a reader; stop ends that.
func (l *changeLog) read(tenant string) (r *changeReader, stop func()) {
	r = &changeReader{woken: make(chan struct{}, 1)}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.readers[tenant] == nil {
		l.readers[tenant] = map[*changeReader]struct{}{}
	}
	l.readers[tenant][r] = struct{}{}
	return r, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if delete(l.readers[tenant], r); len(l.readers[tenant]) == 0 {
			delete(l.readers, tenant)
		}
	}
}
