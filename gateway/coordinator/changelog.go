package coordinator

import (
	"slices"
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
	// missed are changes that came late, but for the first missedGone.
	missed     []change
	missedGone int
	readers    map[string]map[*changeReader]struct{} // by tenant
}

type change struct {
	tenant string
	rev    uint64
	event  schemas.JobChange
	// page is the revision of the page of history that told of it late, or 0.
	page uint64
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
	c := change{tenant: rec.Tenant, rev: rev, event: rec.Event()}
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

// resumed takes note that the watch began anew, with a revision: what was freed
// between that and the last one before, it does not tell.
func (l *changeLog) resumed(rev uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if rev > l.last+1 {
		l.last, l.gone = rev-1, rev-1
	}
}

// before takes note of changes that were there before anybody read the log: they are
// read from the index.
func (l *changeLog) before(old []change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.leaveOut(old)
}

// has reports whether the log has a change.
func (l *changeLog) has(rev uint64) bool {
	i := sort.Search(len(l.changes), func(i int) bool { return l.at(i).rev >= rev })
	return i < len(l.changes) && l.at(i).rev == rev
}

func (l *changeLog) at(i int) *change { return &l.changes[(l.begin+i)%len(l.changes)] }

// leaveOut has readers that are not past some changes read the index.
func (l *changeLog) leaveOut(some []change) {
	for _, c := range some {
		l.last = max(l.last, c.rev)
		l.gone = max(l.gone, c.rev)
	}
}

// late tells of changes that the watch left out. Of those before what a reader was
// told last it hears now, and reads the index for the others.
func (l *changeLog) late(missed []change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	missed = slices.DeleteFunc(missed, func(c change) bool { return l.has(c.rev) }) // the watch has told after all
	l.leaveOut(missed)
	l.missed = append(l.missed, missed...)
	if over := len(l.missed) - changesKept; over > 0 {
		l.missed = slices.Delete(l.missed, 0, over)
		l.missedGone += over
	}
	for _, readers := range l.readers {
		wake(readers)
	}
}

// lateAfter returns a tenant's changes that came late, after the first so many of
// all, and how many there have been.
func (l *changeLog) lateAfter(tenant string, n int) (missed []change, all int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	all = l.missedGone + len(l.missed)
	for _, c := range l.missed[min(max(n-l.missedGone, 0), len(l.missed)):] {
		if c.tenant == tenant {
			missed = append(missed, c)
		}
	}
	return missed, all
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
	from := sort.Search(len(l.changes), func(i int) bool { return l.at(i).rev > rev })
	for i := from; i < len(l.changes); i++ {
		c := l.at(i)
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
