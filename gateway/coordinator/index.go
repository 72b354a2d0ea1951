package coordinator

import (
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/schemas"
)

// state is what a coordinator remembers of all jobs: derived from the bucket,
// never its source. Of an ended job that is an index entry alone, until it is in history.
type state struct {
	mu      sync.Mutex
	jobs    map[string]*entry
	tenants map[string]*tenantJobs
	running map[string]map[string]*hold // executor → key → what it holds
	followers
	feeder *feeder.Feeder
	now    func() time.Time
	// history may be nil: then nothing is in it.
	history *history.History
	begun   time.Time
	// unsorted while the bucket's first values come in.
	unsorted bool
	loaded   bool
	onState  func(old, now schemas.State)
	// account is told of each record that is new, and of the state before.
	account func(old schemas.State, rec *schemas.Record)
	// origins counts, by key, the jobs that have another one's stored result.
	origins map[string]int
	// seen is the newest revision that the watch has told of.
	seen atomic.Uint64
}

type tenantJobs struct {
	timeline
	// ended are jobs that have, in the order in which this gateway heard of it, and of
	// some that were removed since: they are on their way into history.
	ended []*entry
	// advanced is when somebody last looked whether the horizon can move: [state.elapsed].
	advanced time.Duration
	queued   int
	hits     int // jobs that have another one's result
	outflow  outflow
	pools    map[string]int // of jobs that have not ended
	// campaigns counts the jobs of each.
	campaigns campaigns
	// lately is when a job of a pool last ended, in microseconds since the Unix
	// epoch: the pool lives on for a while.
	lately map[string]int64
}

// hearer gets the newest record of a job; older ones that it did not fetch are dropped.
type hearer struct{ newest chan schemas.Record }

func newState(f *feeder.Feeder, now func() time.Time, onState func(old, now schemas.State)) *state {
	return &state{
		jobs: map[string]*entry{}, origins: map[string]int{}, tenants: map[string]*tenantJobs{}, running: map[string]map[string]*hold{}, followers: followers{},
		feeder: f, now: now, begun: now(), unsorted: true, onState: onState,
		account: func(schemas.State, *schemas.Record) {},
	}
}

// learn takes note of a record, unless it is older than what is known. It
// returns the job whose followers can be settled now, or nothing.
func (s *state) learn(rec schemas.Record, rev uint64) (leader string) {
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.jobs[key]
	if e != nil && e.rev >= rev {
		return ""
	}
	if e != nil && e.created != rec.CreatedUS {
		s.drop(e, rev) // it was deleted, and made again in the meantime
		e = nil
	} else if e == nil && (rev <= s.seen.Load() || s.over(&rec, rev)) {
		// Of all that was written up to there the watch has told: it was deleted after
		// this was read. Or the watch is late.
		return ""
	}
	t := s.tenant(rec.Tenant)
	if e == nil {
		e = &entry{key: key, created: rec.CreatedUS, labels: maps.Clone(rec.Labels)}
		s.jobs[key] = e
		t.insert(e, s.unsorted)
	}
	s.count(t, e.rec(), -1)
	t.campaigns.leave(e)
	s.followers.move(key, leaderOf(e.rec()), leaderOf(&rec))
	old := e.state()
	e.rev, e.told = rev, false
	t.hit(e, rec.Source != nil)
	e.enter(rec.State)
	t.campaigns.enter(e)
	e.setRecord(nil)
	switch {
	case e.cached: // it used no pool
	case rec.State.Terminal():
		t.lately[rec.Pool] = max(t.lately[rec.Pool], rec.EndedUS)
	default:
		e.setRecord(&rec)
	}
	s.retain(e, &rec)
	if rec.State.Terminal() && rec.State != schemas.StateDead && (!old.Terminal() || old == schemas.StateDead) {
		e.heard = s.elapsed()
		t.ended = append(t.ended, e)
	}
	s.count(t, e.rec(), +1)
	if old == schemas.StateQueued && rec.State != old {
		t.outflow.left(s.now())
	}
	s.hold(e, &rec)
	s.feeder.Note(key, &rec, rev)
	e.tell(rec)
	e.trim()
	s.onState(old, rec.State)
	s.account(old, &rec)
	return s.unsettled(e, &rec)
}

// forget takes note that a record was deleted, and reports whether others wait for its result.
func (s *state) forget(key string, rev uint64) (followed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.jobs[key]
	if e == nil || e.rev >= rev {
		return false
	}
	s.drop(e, rev)
	return len(s.followers[key]) > 0
}

// drop takes an entry out, as of a revision.
func (s *state) drop(e *entry, rev uint64) {
	key := e.key
	tenant, _, _ := strings.Cut(key, ".")
	t := s.tenant(tenant)
	s.count(t, e.rec(), -1)
	t.campaigns.leave(e)
	s.followers.move(key, leaderOf(e.rec()), "")
	gone := schemas.Record{Tenant: tenant, ID: e.id(), State: schemas.StateDead}
	s.hold(e, &gone)
	s.feeder.Note(key, &gone, rev)
	s.onState(e.state(), "")
	s.retain(e, &gone)
	t.hit(e, false)
	delete(s.jobs, key)
	t.remove(e)
}

// hit counts a job whose result is another one's.
func (t *tenantJobs) hit(e *entry, is bool) {
	switch {
	case is && !e.cached:
		t.hits++
	case e.cached && !is:
		t.hits--
	}
	e.cached = is
}

func (s *state) tenant(name string) *tenantJobs {
	t := s.tenants[name]
	if t == nil {
		t = &tenantJobs{pools: map[string]int{}, campaigns: campaigns{}, lately: map[string]int64{}}
		s.tenants[name] = t
	}
	return t
}

// count adds a job that has not ended to its tenant's figures, or removes it.
func (s *state) count(t *tenantJobs, rec *schemas.Record, by int) {
	if rec == nil {
		return
	}
	if rec.State == schemas.StateQueued {
		t.queued += by
	}
	if t.pools[rec.Pool] += by; t.pools[rec.Pool] == 0 {
		delete(t.pools, rec.Pool)
	}
}

// sortAll ends the time in which values came in the order of their writes.
func (s *state) sortAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.tenants {
		t.sort()
	}
	s.unsorted, s.loaded = false, true
}

func (s *state) isLoaded() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.loaded && (s.history == nil || s.history.Loaded())
}

// live returns the record of a job that has not ended, as far as is known here.
func (s *state) live(key string) (schemas.Record, uint64, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.jobs[key]; e != nil && e.rec() != nil {
		return *e.rec(), e.rev, true
	}
	return schemas.Record{}, 0, false
}

// usage is how many jobs of a tenant are queued, and which pools its jobs use
// that have not ended, or did less than idle ago. wait is about how long it takes
// until one more may be queued.
func (s *state) usage(tenant string, idle time.Duration) (queued int, pools map[string]bool, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenant(tenant)
	since := s.now().Add(-idle).UnixMicro()
	maps.DeleteFunc(t.lately, func(_ string, ended int64) bool { return ended < since })
	pools = make(map[string]bool, len(t.pools)+len(t.lately))
	for name := range t.pools {
		pools[name] = true
	}
	for name := range t.lately {
		pools[name] = true
	}
	return t.queued, pools, t.outflow.wait(s.now())
}

// hear begins to hear a job's records, from the one on that is returned: nil of
// a job that has ended. stop is nil if the job is not known here.
func (s *state) hear(key string) (rec *schemas.Record, h *hearer, stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.jobs[key]
	if e == nil {
		return nil, nil, nil
	}
	h = &hearer{newest: make(chan schemas.Record, 1)}
	more := e.have()
	if more.hearers == nil {
		more.hearers = map[*hearer]struct{}{}
	}
	more.hearers[h] = struct{}{}
	return more.rec, h, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if delete(more.hearers, h); len(more.hearers) == 0 {
			more.hearers = nil
			e.trim()
		}
	}
}
