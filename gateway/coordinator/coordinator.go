package coordinator

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/gateway/fleet"
	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/gateway/resultcache"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/turns"
	"github.com/program-explorer/pe/schemas"
)

// Coordinator of one gateway. All methods are safe for concurrent use, and work
// from New on; jobs move while Run does.
type Coordinator struct {
	cfg     Config
	log     *slog.Logger
	queue   *jobqueue.Queue
	store   objstore.Store
	objects *jobresult.Reader
	rules   rules
	state   *state
	changes *changeLog
	fleet   *fleet.Fleet
	feeder  *feeder.Feeder
	specs   *specCache
	results *resultcache.Cache
	history *history.History
	metrics *metrics
	// storeRests is until when the store is not asked for earlier results, as [state.elapsed].
	storeRests atomic.Int64
	// settling are the jobs whose followers are being settled.
	settling flights
	// settlers bounds of how many jobs that is done at once.
	settlers *semaphore.Weighted
	logs     *semaphore.Weighted
	limits   atomic.Pointer[LimitTable]
	// reserving makes looking for room in the store and taking it one step.
	reserving sync.Mutex
	reserved  reservations
	// moving is held while the jobs of a page go from the index into history.
	moving sync.Mutex
	// batches bounds those that are submitted at once.
	batches chan struct{}
	// catchUps are readers of events who have to ask the bucket.
	catchUps *turns.Turns
	// background counts what was begun and outlives its caller.
	background sync.WaitGroup
	// pooled is closed once all pools that there were at the start are known: until
	// then no executor is told which to serve, for it would drop those that it serves.
	pooled func()
	pools  <-chan struct{}
	// stopped is closed when Run ends: nothing that was known moves on.
	stopped chan struct{}
}

// New checks the configuration. It does not touch the queue.
func New(cfg Config) (*Coordinator, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	c := &Coordinator{
		cfg:     cfg,
		log:     cfg.Log,
		changes: newChangeLog(),
		queue:   cfg.Queue,
		store:   cfg.Store,
		objects: jobresult.New(cfg.Store, 0),
		rules:   rules{maxAttempts: cfg.MaxAttempts, maxHandbacks: cfg.MaxHandbacks, maxLosses: cfg.MaxLosses},
		fleet:   fleet.New(cfg.Now),
		specs:   newSpecCache(specCacheBytes),
		results: resultcache.New(cfg.Queue.Cache, cfg.MaxCached, cfg.Now),

		reserved: reservations{tenants: map[string]int64{}},
		batches:  make(chan struct{}, batchesAtOnce),
		catchUps: turns.New(1, catchUpsAtOnce),
		settlers: semaphore.NewWeighted(leadersAtOnce),
		logs:     semaphore.NewWeighted(logsAtOnce),
		stopped:  make(chan struct{}),
	}
	if c.metrics, err = newMetrics(cfg.Metrics); err != nil {
		return nil, err
	}
	pools := make(chan struct{})
	c.pools, c.pooled = pools, sync.OnceFunc(func() { close(pools) })
	if c.history, err = history.New(cfg.Queue.History, cfg.Log, cfg.Metrics); err != nil {
		return nil, err
	}
	c.feeder = feeder.New(feeder.Config{Now: cfg.Now, Offer: c.offer, Prepare: c.prepare, Limits: c.share})
	c.state = newState(c.feeder, cfg.Now, c.metrics.moved)
	c.state.history = c.history
	c.state.account = c.account
	c.SetLimits(cfg.Limits)
	return c, nil
}

// Run does everything that moves jobs on, until ctx ends, and returns when all
// that it started has stopped. It is called once.
func (c *Coordinator) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	keep := func(name string, f func(context.Context) error) {
		group.Go(func() error { return c.keep(ctx, name, f) })
	}
	keep("watch jobs", c.watchJobs)
	keep("watch history", c.watchHistory)
	keep("keep history", c.keepHistory)
	keep("watch pools", c.watchPools)
	keep("watch executors", c.watchExecutors)
	keep("serve hello", c.serve(schemas.VerbHello, true, c.hello))
	keep("serve beat", c.serve(schemas.VerbBeat, false, c.beat))
	keep("serve claim", c.serve(schemas.VerbClaim, true, c.claim))
	keep("serve sign", c.serve(schemas.VerbSign, true, c.sign))
	keep("serve report", c.serve(schemas.VerbReport, true, c.report))
	keep("consume events", func(ctx context.Context) error { return c.queue.ConsumeEvents(ctx, c.event) })
	keep("watch leases", c.watchLeases)
	keep("promote", c.promote)
	keep("expire", c.expireQueued)
	keep("reconcile", c.reconcileEvery)
	keep("audit", c.auditEvery)
	err := group.Wait()
	close(c.stopped)
	c.background.Wait()
	return err
}

func (c *Coordinator) serve(verb string, shared bool, h jobqueue.Handler) func(context.Context) error {
	return func(ctx context.Context) error { return c.queue.Serve(ctx, verb, shared, h) }
}

const keepPause = time.Second

// keep runs f until ctx ends: what fails because the queue is away is begun again.
func (c *Coordinator) keep(ctx context.Context, name string, f func(context.Context) error) error {
	for {
		err := f(ctx)
		if ctx.Err() != nil {
			return nil
		}
		c.log.Error("begins anew", "task", name, "err", err)
		if !pause(ctx, keepPause) {
			return nil
		}
	}
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

func (c *Coordinator) isStopped() bool {
	select {
	case <-c.stopped:
		return true
	default:
		return false
	}
}

const backgroundTimeout = time.Minute

// later runs f in the background, for a bounded time, whatever becomes of who began it.
func (c *Coordinator) later(f func(context.Context)) {
	c.background.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), backgroundTimeout)
		defer cancel()
		f(ctx)
	})
}

// ErrLoading: jobs are still being read from the queue, so lists would be incomplete, and limits wrong.
var ErrLoading = errors.New("jobs are still being read from the queue")

// Ready tells why this gateway should get no requests now, or nil.
func (c *Coordinator) Ready() error {
	if err := c.queue.Healthy(); err != nil {
		return err
	}
	if !c.state.isLoaded() {
		return ErrLoading
	}
	return nil
}

func (c *Coordinator) learn(rec schemas.Record, rev uint64) {
	if leader := c.state.learn(rec, rev); leader != "" {
		c.settleLater(rec.Tenant, leader)
	}
}

func (c *Coordinator) settleLater(tenant, leader string) {
	c.later(func(ctx context.Context) { c.settleFollowers(ctx, tenant, leader) })
}

func (c *Coordinator) forgotten(key string, rev uint64) {
	if !c.state.forget(key, rev) {
		return
	}
	if tenant, job, err := schemas.ParseRecordKey(key); err == nil {
		c.settleLater(tenant, job)
	}
}

func (c *Coordinator) watchJobs(ctx context.Context) error {
	each := func(e jobqueue.Entry) {
		defer c.state.seen.Store(e.Revision)
		if e.Resumed {
			c.changes.resumed(e.Revision)
		}
		if e.Deleted {
			c.state.seen.Store(e.Revision) // before: nobody who read it earlier brings it back
			c.forgotten(e.Key, e.Revision)
			c.changes.passed(e.Revision)
			return
		}
		rec, err := decodeRecord(e.Key, e.Value)
		if err != nil {
			c.log.Error("record skipped", "err", err)
			return
		}
		c.learn(rec, e.Revision)
		if rec.State.Terminal() {
			c.cfg.OnEnded(rec, e.Revision, false)
		}
		c.changes.tell(&rec, e.Revision)
		c.state.told(e.Key, e.Revision)
	}
	// First what tells of which jobs a record counts for nothing.
	for !c.history.Loaded() {
		if !pause(ctx, catchUpPoll) {
			return nil
		}
	}
	return c.queue.Jobs.Watch(ctx, each, c.state.sortAll)
}
