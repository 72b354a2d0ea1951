package campaign

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Jobs is what the package asks of the coordinator's index.
type Jobs interface {
	// Unfinished is how many jobs of a campaign have not ended, as far as is known. It is cheap.
	Unfinished(tenant, campaign string) int
	// CampaignJobs counts a campaign's jobs by state, as far as they are known. It is cheap.
	CampaignJobs(tenant, campaign string) (map[schemas.State]int, error)
	// SettledCampaignJobs counts them as they were at a revision that is not before the
	// call: all that were written up to there, and none of later.
	SettledCampaignJobs(ctx context.Context, tenant, campaign string) (counts map[schemas.State]int, upTo uint64, err error)
}

// Config of the campaigns of one gateway.
type Config struct {
	// Queue is a gateway's connection, with its buckets made. Required.
	Queue *jobqueue.Queue
	// Jobs counts jobs. Required.
	Jobs Jobs
	// OnEnded is told of every campaign that has ended: at once of those that this gateway
	// ended (here), soon after of all that others did, at the start of all that there
	// are. It must not wait. Default: nobody is told.
	OnEnded func(tenant string, c schemas.Campaign, here bool)
	// Look is how often all closed campaigns are looked at: nobody tells of a job that is
	// gone without having ended. Default 30 s.
	Look time.Duration
	// Audit is how often all campaigns are compared with the bucket's keys; default 1 h, and
	// after each new connection.
	Audit time.Duration
	// Keep is how long a campaign is kept after its end. Default: for ever.
	Keep time.Duration
	// Now is the clock; default time.Now.
	Now func() time.Time
	// Log default: discard.
	Log *slog.Logger
	// Metrics is where the campaigns register their metrics; nil for nowhere.
	Metrics prometheus.Registerer
}

// Campaigns of all tenants, as one gateway knows them. All methods are safe for concurrent use.
type Campaigns struct {
	cfg    Config
	bucket *jobqueue.Bucket
	jobs   Jobs
	log    *slog.Logger
	index  *index
	due    *due
	ends   prometheus.Counter
	// known is closed when all campaigns are that there were at the start.
	known chan struct{}
}

// New checks the configuration. It does not touch the queue.
func New(cfg Config) (*Campaigns, error) {
	if cfg.Queue == nil || cfg.Jobs == nil {
		return nil, errors.New("campaign: a queue and jobs are required")
	}
	if cfg.OnEnded == nil {
		cfg.OnEnded = func(string, schemas.Campaign, bool) {}
	}
	if cfg.Look == 0 {
		cfg.Look = 30 * time.Second
	}
	if cfg.Audit == 0 {
		cfg.Audit = time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	c := &Campaigns{
		cfg: cfg, bucket: cfg.Queue.Campaigns, jobs: cfg.Jobs, log: cfg.Log, index: newIndex(), due: newDue(), known: make(chan struct{}),
	}
	var err error
	c.ends, err = newMetrics(cfg.Metrics, c.index)
	return c, err
}

// Known is closed when all campaigns are known that there were at the start: ends of
// jobs that are told of before may be of no use to a campaign that has ended already.
func (c *Campaigns) Known() <-chan struct{} { return c.known }

// Run ends campaigns until ctx ends, and returns when all that it started has stopped.
// It is called once.
func (c *Campaigns) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return c.bucket.Watch(ctx, c.heard, c.loaded) })
	group.Go(func() error { c.judgeAll(ctx); return nil })
	group.Go(func() error { c.expireEvery(ctx); return nil })
	group.Go(func() error { c.auditEvery(ctx); return nil })
	return group.Wait()
}

func (c *Campaigns) loaded() {
	c.index.loaded()
	close(c.known)
}

// heard takes note of a write of any gateway.
func (c *Campaigns) heard(w jobqueue.Entry) {
	defer c.index.saw(w.Revision)
	if w.Deleted {
		c.index.saw(w.Revision) // before: nobody who read it earlier brings it back
		c.index.forget(w.Key, w.Revision)
		return
	}
	e, err := decode(w.Key, w.Value)
	if err != nil {
		c.log.Error("campaign skipped", "err", err)
		return
	}
	c.learn(e, w.Revision, false)
}

// learn takes note of a campaign, and does what follows, unless that was done.
func (c *Campaigns) learn(e entry, rev uint64, here bool) {
	if !c.index.learn(e, rev) {
		return
	}
	if e.ended() {
		c.cfg.OnEnded(e.Tenant, e.Campaign, here)
	}
	if k, _, _ := c.index.lookup(e.key()); k.pending() {
		c.due.add(e.Tenant, e.key())
	}
}

func (c *Campaigns) isKnown() bool {
	select {
	case <-c.known:
		return true
	default:
		return false
	}
}
