package feeder

import (
	"container/heap"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Config of a feeder. Its functions, and those that its methods are given, are called
// with the feeder's lock held, and so must not call it but later.
type Config struct {
	// Now tells the time; default [time.Now].
	Now func() time.Time
	// Offer publishes an offer in the background, then calls Settle. Required to feed.
	Offer func(Offer)
	// Prepare makes a pool's consumers in the background, then calls Ready. Required to feed.
	Prepare func(pool string, needs schemas.Requires)
	// Limits are a tenant's; without it nobody has any.
	Limits func(tenant string) Limits
}

// Limits of a tenant's share.
type Limits struct {
	// Running bounds jobs that are offered or run; 0 does not.
	Running int
	// Weight is how many jobs are offered in one turn of a lane; at least 1.
	Weight int
}

// Offer is what is to be published of a queued job.
type Offer struct {
	Place jobqueue.Place
	// ID is the message's: the same for the same wait of the same job, in every gateway.
	ID     string
	ticket *ticket
}

// Feeder of one gateway. All methods are safe for concurrent use.
type Feeder struct {
	cfg Config

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

// New returns a feeder that knows of no job.
func New(cfg Config) *Feeder {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Limits == nil {
		cfg.Limits = func(string) Limits { return Limits{} }
	}
	return &Feeder{
		cfg: cfg, tickets: map[string]*ticket{}, accounts: map[string]*account{},
		running: map[string]struct{}{}, pools: map[string]*pool{}, wake: make(chan struct{}, 1),
	}
}

// Note takes a record whose revision is the newest known.
func (f *Feeder) Note(key string, rec *schemas.Record, rev uint64) {
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
func (f *Feeder) runs(key string, rec *schemas.Record) {
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
func (f *Feeder) enqueue(t *ticket) {
	if UntilDue(t.due, f.cfg.Now()) > 0 {
		t.at = atDelay
		heap.Push(&f.delayed, t)
		f.poke()
		return
	}
	f.wait(t)
	f.feed(t.place.Pool)
}

// wait puts a ticket at the end of its lane.
func (f *Feeder) wait(t *ticket) {
	t.at = atLane
	f.lane(t).push(t, f.account(t.place.Tenant))
}

func (f *Feeder) lane(t *ticket) *lane {
	p := f.pools[t.place.Pool]
	l := p.lanes[t.place.Lane]
	if l == nil {
		l = newLane(t.place.Pool, t.place.Lane)
		p.lanes[t.place.Lane] = l
	}
	return l
}

func (f *Feeder) drop(t *ticket) {
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
func (f *Feeder) feed(name string) {
	p := f.pools[name]
	if p == nil || p.target == 0 {
		return
	}
	if p.state != poolReady {
		if p.state == poolNew && p.wanted() {
			p.state = poolPreparing
			f.cfg.Prepare(name, p.needs)
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
			f.cfg.Offer(t.offer())
		}
	}
}

// laneNames in the order in which they are served.
var laneNames = []string{schemas.LaneInteractive, schemas.LaneBatch}

func (f *Feeder) inStream(t *ticket) {
	t.at, t.offeredAt = atStream, f.cfg.Now()
	f.lane(t).offered[t] = struct{}{}
	f.account(t.place.Tenant).offered++
}

func (f *Feeder) outOfStream(t *ticket) {
	delete(f.lane(t).offered, t)
	f.account(t.place.Tenant).offered--
}

const feedPause = 500 * time.Millisecond

// Settle takes note of how offering went.
func (f *Feeder) Settle(o Offer, err error) {
	t := o.ticket
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil && t.at == atStream {
		f.outOfStream(t)
		t.due = f.cfg.Now().Add(feedPause)
		f.enqueue(t)
		f.tidy(t.place.Tenant)
	}
}

// Overdue returns up to most jobs whose wait is over. Those that are still queued
// a while later are returned again.
func (f *Feeder) Overdue(most int) (over []jobqueue.Place) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.cfg.Now()
	for len(over) < most && len(f.expiring) > 0 && f.expiring[0].expires <= now.UnixMicro() {
		t := f.expiring[0]
		over = append(over, t.place)
		f.expiring.remove(t)
		f.expiring.add(t, now.Add(overdueAgain).UnixMicro())
	}
	return over
}

const overdueAgain = 5 * time.Second

// Promote moves what is due to its lane, and tells how long until the next is.
func (f *Feeder) Promote() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.delayed) > 0 {
		t := f.delayed[0]
		if wait := UntilDue(t.due, f.cfg.Now()); wait > 0 && t.at == atDelay {
			return wait
		}
		heap.Pop(&f.delayed)
		if t.at == atDelay {
			f.enqueue(t)
		}
	}
	return time.Hour
}

// Wake is sent to when Promote and Retarget should be called before the time that
// Promote told.
func (f *Feeder) Wake() <-chan struct{} { return f.wake }

func (f *Feeder) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}
