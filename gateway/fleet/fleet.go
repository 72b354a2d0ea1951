package fleet

import (
	"cmp"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// Fleet is the executors that have registered, from the bucket, and what their
// heartbeats said since. All methods are safe for concurrent use.
type Fleet struct {
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

// New returns a fleet of nobody.
func New(now func() time.Time) *Fleet {
	return &Fleet{now: now, members: map[string]*member{}}
}

// Register takes a registration from the bucket. It reports whether it is news.
func (f *Fleet) Register(r Registration, rev uint64) bool {
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

// Remove takes out an executor whose registration was deleted. It reports whether it is news.
func (f *Fleet) Remove(executor string, rev uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[executor]
	if m == nil || m.rev >= rev {
		return false
	}
	delete(f.members, executor)
	return true
}

// Heard takes a heartbeat. known is false if it is of no registered instance;
// news says whether what the executor can take has changed.
func (f *Fleet) Heard(executor string, beat schemas.Beat) (known, news bool) {
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

// Loss is an executor that was lost, and when it was last heard.
type Loss struct {
	Registration
	// Revision is that of the registration that it was lost with.
	Revision uint64
}

// Expire marks executors as lost for which expired says so, and returns those
// that were not lost before.
func (f *Fleet) Expire(expired func(seen time.Time) bool) []Loss {
	f.mu.Lock()
	defer f.mu.Unlock()
	var lost []Loss
	for _, m := range f.members {
		if !m.lost && expired(m.seen) {
			m.lost = true
			lost = append(lost, Loss{Registration{m.facts, m.seenUS}, m.rev})
		}
	}
	return lost
}

// Forgotten lists the executors that have been lost for so long, with their revisions.
func (f *Fleet) Forgotten(long time.Duration) map[string]uint64 {
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

// Silent reports whether an executor is lost or not known at all.
func (f *Fleet) Silent(executor string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	m := f.members[executor]
	return m == nil || m.lost
}

// Facts are those of an executor; false if it is not known.
func (f *Fleet) Facts(executor string) (schemas.Facts, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if m := f.members[executor]; m != nil {
		return m.facts, true
	}
	return schemas.Facts{}, false
}

// Capacity is how many executors could run a job with these needs: known ever,
// up now, and the slots of those that are up.
func (f *Fleet) Capacity(needs schemas.Requires) (known, live, slots int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		if !needs.SatisfiedBy(m.facts) {
			continue
		}
		known++
		if m.state() == schemas.ExecutorUp {
			live++
			slots += m.facts.Slots
		}
	}
	return known, live, slots
}

// Able lists the executors that could run a job with these needs, those that
// were seen last first.
func (f *Fleet) Able(needs schemas.Requires) []schemas.Executor {
	able := slices.DeleteFunc(f.List(), func(e schemas.Executor) bool { return !needs.SatisfiedBy(e.Facts) })
	slices.SortStableFunc(able, func(a, b schemas.Executor) int { return cmp.Compare(b.SeenUS, a.SeenUS) })
	return able
}

// Assign works out which pools every executor is to serve, with which priority,
// and returns those for whom that has changed.
func (f *Fleet) Assign(pools map[string]schemas.Requires) map[string]map[string]int {
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

// Pools are those that an executor was last told to serve, with its priority for each. They are never changed once they are told: assign puts others in their place.
func (f *Fleet) Pools(executor string) map[string]int {
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
		return schemas.ExecutorLost
	case m.beat.Draining:
		return schemas.ExecutorDraining
	default:
		return schemas.ExecutorUp
	}
}

// List is all executors, by id.
func (f *Fleet) List() []schemas.Executor {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]schemas.Executor, 0, len(f.members))
	for _, m := range f.members {
		all = append(all, schemas.Executor{Facts: m.facts, State: m.state(), SeenUS: m.seenUS, Busy: m.beat.Busy, Held: m.beat.Held})
	}
	slices.SortFunc(all, func(a, b schemas.Executor) int { return cmp.Compare(a.Executor, b.Executor) })
	return all
}
