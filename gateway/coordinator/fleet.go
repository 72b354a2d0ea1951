package coordinator

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// States of an executor as the API tells them.
const (
	executorUp       = "up"
	executorDraining = "draining"
	executorLost     = "lost"
)

// fleet is the executors that have registered, from the bucket, and what their
// heartbeats said since.
type fleet struct {
	now func() time.Time

	mu      sync.Mutex
	members map[string]*member
}

type member struct {
	facts schemas.Facts
	rev   uint64
	// seen is when it was last heard, or when this gateway learned of it.
	seen   time.Time
	seenUS int64
	beat   schemas.Beat
	lost   bool
	// pools as last told.
	pools []string
}

func newFleet(now func() time.Time) *fleet {
	return &fleet{now: now, members: map[string]*member{}}
}

// register takes facts from the bucket. It reports whether they are news.
func (f *fleet) register(facts schemas.Facts, rev uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[facts.Executor]
	if m != nil && m.rev >= rev {
		return false
	}
	if m == nil {
		m = &member{}
		f.members[facts.Executor] = m
	}
	if m.facts.Instance != facts.Instance {
		m.beat = schemas.Beat{}
	}
	m.facts, m.rev, m.lost = facts, rev, false
	m.seen, m.seenUS = f.now(), f.now().UnixMicro()
	return true
}

func (f *fleet) remove(executor string, rev uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[executor]
	if m == nil || m.rev >= rev {
		return false
	}
	delete(f.members, executor)
	return true
}

// heard takes a heartbeat. known is false if it is of no registered instance;
// news says whether what the executor can take has changed.
func (f *fleet) heard(executor string, beat schemas.Beat) (known, news bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[executor]
	if m == nil || m.facts.Instance != beat.Instance {
		return false, false
	}
	news = m.lost || m.beat.Draining != beat.Draining
	m.beat, m.lost = beat, false
	m.seen, m.seenUS = f.now(), f.now().UnixMicro()
	return true, news
}

// expire marks executors as lost for which expired says so, and returns those
// that were not lost before.
func (f *fleet) expire(expired func(seen time.Time) bool) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lost []string
	for id, m := range f.members {
		if !m.lost && expired(m.seen) {
			m.lost = true
			lost = append(lost, id)
		}
	}
	return lost
}

// forgotten lists the executors that have been lost for so long, with their revisions.
func (f *fleet) forgotten(long time.Duration) map[string]uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := map[string]uint64{}
	for id, m := range f.members {
		if m.lost && f.now().Sub(m.seen) > long {
			all[id] = m.rev
		}
	}
	return all
}

// silent reports whether an executor is lost or not known at all.
func (f *fleet) silent(executor string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[executor]
	return m == nil || m.lost
}

func (f *fleet) facts(executor string) (schemas.Facts, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[executor]; m != nil {
		return m.facts, true
	}
	return schemas.Facts{}, false
}

// capacity is how many executors could run a job with these needs: known ever,
// up now, and the slots of those that are up.
func (f *fleet) capacity(needs schemas.Requires) (known, live, slots int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		if !needs.SatisfiedBy(m.facts) {
			continue
		}
		known++
		if m.state() == executorUp {
			live++
			slots += m.facts.Slots
		}
	}
	return known, live, slots
}

// assign works out which pools every executor is to serve, and returns those
// for whom that has changed.
func (f *fleet) assign(pools map[string]schemas.Requires) map[string][]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := map[string][]string{}
	for id, m := range f.members {
		serves := m.serves(pools)
		if !slices.Equal(serves, m.pools) {
			m.pools = serves
			changed[id] = serves
		}
	}
	return changed
}

func (m *member) serves(pools map[string]schemas.Requires) []string {
	serves := []string{}
	for _, name := range slices.Sorted(maps.Keys(pools)) {
		if pools[name].SatisfiedBy(m.facts) {
			serves = append(serves, name)
		}
	}
	return serves
}

func (f *fleet) pools(executor string) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[executor]; m != nil && m.pools != nil {
		return m.pools
	}
	return []string{}
}

func (m *member) state() string {
	switch {
	case m.lost:
		return executorLost
	case m.beat.Draining:
		return executorDraining
	default:
		return executorUp
	}
}

// list is all executors, by id.
func (f *fleet) list() []schemas.Executor {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]schemas.Executor, 0, len(f.members))
	for _, m := range f.members {
		all = append(all, schemas.Executor{Facts: m.facts, State: m.state(), SeenUS: m.seenUS, Busy: m.beat.Busy, Held: m.beat.Held})
	}
	slices.SortFunc(all, func(a, b schemas.Executor) int { return cmp.Compare(a.Executor, b.Executor) })
	return all
}
