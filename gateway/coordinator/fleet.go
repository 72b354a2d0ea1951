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
	// pools as last told, with the executor's priority for each.
	pools map[string]int
}

func newFleet(now func() time.Time) *fleet {
	return &fleet{now: now, members: map[string]*member{}}
}

// register takes a registration from the bucket. It reports whether it is news.
func (f *fleet) register(r registration, rev uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[r.Executor]
	if m != nil && m.rev >= rev {
		return false
	}
	if m != nil && r.LostUS != 0 && m.facts.Instance == r.Instance {
		m.rev = rev // another gateway missed it; this one listens itself
		return false
	}
	if m == nil {
		m = &member{}
		f.members[r.Executor] = m
	}
	if m.facts.Instance != r.Instance {
		m.beat = schemas.Beat{}
	}
	m.facts, m.rev, m.lost = r.Facts, rev, r.LostUS != 0
	m.seen, m.seenUS = f.now(), f.now().UnixMicro()
	if m.lost {
		m.seenUS = r.LostUS
	}
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
	// Heartbeats may be handled in another order than they were sent, and nobody
	// takes jobs again before its next start.
	beat.Draining = beat.Draining || m.beat.Draining
	news = m.lost || m.beat.Draining != beat.Draining
	m.beat, m.lost = beat, false
	m.seen, m.seenUS = f.now(), f.now().UnixMicro()
	return true, news
}

// loss is an executor that was lost, and when it was last heard.
type loss struct {
	registration
	rev uint64
}

// expire marks executors as lost for which expired says so, and returns those
// that were not lost before.
func (f *fleet) expire(expired func(seen time.Time) bool) []loss {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lost []loss
	for _, m := range f.members {
		if !m.lost && expired(m.seen) {
			m.lost = true
			lost = append(lost, loss{registration{m.facts, m.seenUS}, m.rev})
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
		if m.lost && f.now().UnixMicro()-m.seenUS > long.Microseconds() {
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

// able lists the executors that could run a job with these needs, those that
// were seen last first.
func (f *fleet) able(needs schemas.Requires) []schemas.Executor {
	able := slices.DeleteFunc(f.list(), func(e schemas.Executor) bool { return !needs.SatisfiedBy(e.Facts) })
	slices.SortStableFunc(able, func(a, b schemas.Executor) int { return cmp.Compare(b.SeenUS, a.SeenUS) })
	return able
}

// assign works out which pools every executor is to serve, with which priority,
// and returns those for whom that has changed.
func (f *fleet) assign(pools map[string]schemas.Requires) map[string]map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	changed := map[string]map[string]int{}
	for id, m := range f.members {
		serves := m.serves(pools)
		if !maps.Equal(serves, m.pools) {
			m.pools = serves
			changed[id] = serves
		}
	}
	return changed
}

func (m *member) serves(pools map[string]schemas.Requires) map[string]int {
	serves := map[string]int{}
	for name, needs := range pools {
		if needs.SatisfiedBy(m.facts) {
			serves[name] = needs.Surplus(m.facts)
		}
	}
	return serves
}

// pools are never changed once they are told: assign puts others in their place.
func (f *fleet) pools(executor string) map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[executor]; m != nil && m.pools != nil {
		return m.pools
	}
	return map[string]int{}
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
