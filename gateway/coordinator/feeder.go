package coordinator

import (
	"container/heap"
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

func newFeeder(now func() time.Time) *feeder {
	return &feeder{now: now, limits: func(string) Limits { return Limits{} }, accounts: map[string]*account{}, running: map[string]struct{}{}, tickets: map[string]*ticket{}, pools: map[string]*pool{}, wake: make(chan struct{}, 1)}
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
