package coordinator

import (
	"container/heap"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// feeder keeps every pool's stream shallow: about twice as many offers as there
// are slots to serve it, so that who comes late with one job need not wait
// behind somebody's thousand. It decides; offering is done by who made it.
type feeder struct {
	now func() time.Time
	// offer publishes a ticket's offer in the background, then calls settle.
	offer func(t *ticket, id string)
	// prepare makes a pool's consumers in the background, then calls ready.
	prepare func(pool string, needs schemas.Requires)

	// limits are a tenant's.
	limits func(tenant string) Limits

	mu       sync.Mutex
	tickets  map[string]*ticket
	accounts map[string]*account // by tenant
	// running are the jobs that do, by key.
	running map[string]struct{}
	pools   map[string]*pool
	delayed delays
	// expiring are all tickets whose wait ends some time.
	expiring deadlines
	wake     chan struct{}
}

// ticket is a queued job.
type ticket struct {
	key   string
	place jobqueue.Place
	rev   uint64
	// feed counts repairs: each must have another id.
	feed int64
	due  time.Time
	at   whereabouts
	// offeredAt is when it was last given to offer.
	offeredAt time.Time
	// expires is when its wait ends, in microseconds since the Unix epoch, or 0;
	// index is its place among those that do.
	expires int64
	index   int
	// before and behind are its neighbours in the lane.
	before, behind *ticket
}

type whereabouts uint8

const (
	atDelay whereabouts = iota
	atLane
	atStream
	atLeader // it waits for another job's result, and is not offered
	atEnd    // no longer queued
)

type pool struct {
	needs schemas.Requires
	lanes map[string]*lane
	// target is how many offers each lane should have; 0 while nobody serves the pool.
	target int
	state  poolState
	// exists is set once there are consumers to pull from.
	exists bool
	// tickets counts the queued jobs, wherever they wait: the pool must outlive them.
	tickets int
	// used is when the pool last had both jobs and executors.
	used time.Time
}

type poolState uint8

const (
	poolNew poolState = iota
	poolPreparing
	poolReady
)

func newFeeder(now func() time.Time) *feeder {
	return &feeder{now: now, limits: func(string) Limits { return Limits{} }, accounts: map[string]*account{}, running: map[string]struct{}{}, tickets: map[string]*ticket{}, pools: map[string]*pool{}, wake: make(chan struct{}, 1)}
}

// id of a ticket's offer: the revision of the queued record rises with each wait.
func (t *ticket) id() string {
	if t.feed == 0 {
		return fmt.Sprintf("%s.%d", t.place.Job, t.rev)
	}
	return fmt.Sprintf("%s.%d.%d", t.place.Job, t.rev, t.feed)
}

// note takes a record whose revision is the newest known.
func (f *feeder) note(key string, rec *schemas.Record, rev uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	old := f.tickets[key]
	if old != nil {
		f.drop(old)
	}
	f.runs(key, rec)
	if rec.State == schemas.StateQueued {
		t := &ticket{key: key, rev: rev, due: time.UnixMicro(rec.NotBeforeUS),
			place: jobqueue.Place{Pool: rec.Pool, Lane: rec.Lane, Tenant: rec.Tenant, Job: rec.ID}}
		f.tickets[key] = t
		f.expiring.add(t, rec.ExpiresUS())
		f.pool(rec.Pool, rec.Needs).tickets++
		if t.at = atLeader; rec.Follows == "" {
			f.enqueue(t)
		}
	}
	if old != nil {
		f.feed(old.place.Pool)
	}
	f.tidy(rec.Tenant)
}

// runs counts a job that begins or ends to run.
func (f *feeder) runs(key string, rec *schemas.Record) {
	if _, did := f.running[key]; did {
		delete(f.running, key)
		f.account(rec.Tenant).running--
	}
	if rec.State == schemas.StateRunning {
		f.running[key] = struct{}{}
		f.account(rec.Tenant).running++
	}
}

func (f *feeder) pool(name string, needs schemas.Requires) *pool {
	p := f.pools[name]
	if p == nil {
		p = &pool{needs: needs, lanes: map[string]*lane{}, used: f.now()}
		f.pools[name] = p
		f.poke() // its target is not known yet
	}
	return p
}

// enqueue puts a ticket where it waits: for its time or for its turn.
func (f *feeder) enqueue(t *ticket) {
	if untilDue(t.due, f.now()) > 0 {
		t.at = atDelay
		heap.Push(&f.delayed, t)
		f.poke()
		return
	}
	f.wait(t)
	f.feed(t.place.Pool)
}

// wait puts a ticket at the end of its lane.
func (f *feeder) wait(t *ticket) {
	t.at = atLane
	f.lane(t).push(t, f.account(t.place.Tenant))
}

func (f *feeder) lane(t *ticket) *lane {
	p := f.pools[t.place.Pool]
	l := p.lanes[t.place.Lane]
	if l == nil {
		l = newLane(t.place.Pool, t.place.Lane)
		p.lanes[t.place.Lane] = l
	}
	return l
}

func (f *feeder) drop(t *ticket) {
	switch t.at {
	case atLane:
		f.lane(t).remove(t)
	case atStream:
		f.outOfStream(t)
	}
	t.at = atEnd
	delete(f.tickets, t.key)
	f.pools[t.place.Pool].tickets--
	f.expiring.remove(t)
}

// feed offers as much of a pool as it should.
func (f *feeder) feed(name string) {
	p := f.pools[name]
	if p == nil || p.target == 0 {
		return
	}
	if p.state != poolReady {
		if p.state == poolNew && p.wanted() {
			p.state = poolPreparing
			f.prepare(name, p.needs)
		}
		return
	}
	for _, name := range laneNames {
		l := p.lanes[name]
		for l != nil && len(l.offered) < p.target {
			t := l.pop()
			if t == nil {
				break
			}
			f.inStream(t)
			f.offer(t, t.id())
		}
	}
}

// laneNames in the order in which they are served.
var laneNames = []string{schemas.LaneInteractive, schemas.LaneBatch}

func (f *feeder) inStream(t *ticket) {
	t.at, t.offeredAt = atStream, f.now()
	f.lane(t).offered[t] = struct{}{}
	f.account(t.place.Tenant).offered++
}

func (f *feeder) outOfStream(t *ticket) {
	delete(f.lane(t).offered, t)
	f.account(t.place.Tenant).offered--
}

// jobs counts those of a pool that are due, about.
func (p *pool) jobs() int {
	n := 0
	for _, l := range p.lanes {
		n += len(l.offered) + len(l.shares)
	}
	return n
}

func (p *pool) wanted() bool {
	for _, l := range p.lanes {
		if l.turns.Len() > 0 {
			return true
		}
	}
	return false
}

const feedPause = 500 * time.Millisecond

// settle takes note of how offering went.
func (f *feeder) settle(t *ticket, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && t.at == atStream {
		f.outOfStream(t)
		t.due = f.now().Add(feedPause)
		f.enqueue(t)
		f.tidy(t.place.Tenant)
	}
}

// made takes note that a pool's consumers are there: executors may be told.
func (f *feeder) made(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pools[name]; p != nil {
		p.exists = true
	}
}

// count is how many pools there are; those among fresh are taken out of it.
func (f *feeder) count(fresh map[string]bool) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	maps.DeleteFunc(fresh, func(pool string, _ bool) bool { return f.pools[pool] != nil })
	return len(f.pools)
}

// overdue returns up to most jobs whose wait is over. Those that are still queued
// a while later are returned again.
func (f *feeder) overdue(most int) (over []jobqueue.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.now()
	for len(over) < most && len(f.expiring) > 0 && f.expiring[0].expires <= now.UnixMicro() {
		t := f.expiring[0]
		over = append(over, t.place)
		f.expiring.remove(t)
		f.expiring.add(t, now.Add(overdueAgain).UnixMicro())
	}
	return over
}

const overdueAgain = 5 * time.Second

// ready takes note that a pool can be fed, or could not be made.
func (f *feeder) ready(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pools[name]
	if p == nil {
		return
	}
	if err != nil {
		p.state = poolNew // the reconciler tries again
		return
	}
	p.state, p.exists = poolReady, true
	f.feed(name)
}

// retarget sets every pool's depth by what target says, and feeds.
func (f *feeder) retarget(target func(schemas.Requires) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, p := range f.pools {
		p.target = target(p.needs)
		if p.target > 0 && p.jobs() > 0 {
			p.used = f.now()
		}
		f.feed(name)
	}
}

// promote moves what is due to its lane, and tells how long until the next is.
func (f *feeder) promote() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.delayed) > 0 {
		t := f.delayed[0]
		if wait := untilDue(t.due, f.now()); wait > 0 && t.at == atDelay {
			return wait
		}
		heap.Pop(&f.delayed)
		if t.at == atDelay {
			f.enqueue(t)
		}
	}
	return time.Hour
}

func (f *feeder) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// existing lists the pools that can be pulled from, with their requirements.
func (f *feeder) existing() map[string]schemas.Requires {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]schemas.Requires, len(f.pools))
	for name, p := range f.pools {
		if p.exists {
			all[name] = p.needs
		}
	}
	return all
}

// known takes note of a pool that is in the bucket; it reports whether that is news.
func (f *feeder) known(name string, needs schemas.Requires) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pool(name, needs)
	news := !p.exists
	p.exists = true
	return news
}

// idle lists the pools that had no jobs or no executors for so long. Those that
// were never made and have no jobs are forgotten.
func (f *feeder) idle(long time.Duration) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for name, p := range f.pools {
		switch {
		case f.now().Sub(p.used) <= long:
		case p.exists:
			all = append(all, name)
		case p.state == poolNew && p.tickets == 0:
			delete(f.pools, name)
		}
	}
	return all
}

// retired takes note that a pool is gone, with all its offers.
func (f *feeder) retired(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pools[name]
	if p == nil {
		return
	}
	p.state, p.exists, p.used = poolNew, false, f.now()
	tenants := map[string]bool{}
	for _, l := range p.lanes {
		for t := range l.offered {
			f.outOfStream(t)
			// The server may still know the id of the offer that was taken back.
			t.feed = f.now().UnixNano()
			f.wait(t)
			tenants[t.place.Tenant] = true
		}
	}
	if p.tickets == 0 {
		delete(f.pools, name)
	}
	for tenant := range tenants { // who may run more elsewhere now
		f.tidy(tenant)
	}
}

// unsettled is how long an offer may be under way before it should be seen in the stream.
const unsettled = 2 * time.Second

// compare takes the offers that a pool's lane has in the stream. Offers whose
// message is missing there are published again, under a new id: somebody
// acknowledged them without a claim. An offer that another gateway published
// counts as this one's. It returns the offers that belong to no queued job.
func (f *feeder) compare(name, laneName string, there []jobqueue.Place) (repaired int, stray []jobqueue.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := make(map[string]bool, len(there))
	for _, place := range there {
		key := schemas.RecordKey(place.Tenant, place.Job)
		seen[key] = true
		switch t := f.tickets[key]; {
		case t == nil || t.place != place:
			stray = append(stray, place)
		case t.at == atLane:
			f.lane(t).remove(t)
			f.inStream(t)
		}
	}
	p := f.pools[name]
	if p == nil || p.lanes[laneName] == nil {
		return 0, stray
	}
	for t := range p.lanes[laneName].offered {
		if seen[t.key] || f.now().Sub(t.offeredAt) < unsettled {
			continue
		}
		t.feed, t.offeredAt = f.now().UnixNano(), f.now()
		f.offer(t, t.id())
		repaired++
	}
	return repaired, stray
}

// offeredFor lists the offers of a lane that have been in the stream for so long.
func (f *feeder) offeredFor(name, laneName string, long time.Duration) []jobqueue.Place {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pools[name]
	if p == nil || p.lanes[laneName] == nil {
		return nil
	}
	var old []jobqueue.Place
	for t := range p.lanes[laneName].offered {
		if f.now().Sub(t.offeredAt) > long {
			old = append(old, t.place)
		}
	}
	return old
}
