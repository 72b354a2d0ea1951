package retention

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
)

// Config of a gateway's retention.
type Config struct {
	// Jobs, Queue and Store are the gateway's. Required.
	Jobs  *coordinator.Coordinator
	Queue *jobqueue.Queue
	Store objstore.Store
	// Policy is how long things are kept. Default: for ever.
	Policy Policy
	// Stored is told what sweeps count. Default: one of its own.
	Stored *Stored
	// Name of this gateway, for others to see who sweeps.
	Name string
	// Every is how often the store is swept, by any gateway; default 1 h.
	Every time.Duration
	// Grace of those sweeps; default [DefaultGrace].
	Grace time.Duration
	// Metrics is where metrics are registered; nil for nowhere.
	Metrics prometheus.Registerer
	// Log default: discard.
	Log *slog.Logger
	// Now is the clock; default time.Now.
	Now func() time.Time
}

// Sweeper expires what is too old, and sweeps. Its methods may be called concurrently.
type Sweeper struct {
	jobs    *coordinator.Coordinator
	bucket  *jobqueue.Bucket
	store   objstore.Store
	policy  Policy
	name    string
	every   time.Duration
	grace   time.Duration
	log     *slog.Logger
	now     func() time.Time
	rules   *Inputs
	stored  *Stored
	metrics *metrics
	spared  spared
}

// New checks the configuration.
func New(c Config) (*Sweeper, error) {
	if c.Jobs == nil || c.Queue == nil || c.Store == nil {
		return nil, errors.New("retention: a coordinator, a queue and a store are required")
	}
	if err := c.Policy.Check(); err != nil {
		return nil, err
	}
	if c.Every <= 0 {
		c.Every = time.Hour
	}
	if c.Grace <= 0 {
		c.Grace = DefaultGrace
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Stored == nil {
		c.Stored = NewStored(c.Queue, c.Every, c.Now)
	}
	if c.Name == "" {
		c.Name = "gateway"
	}
	m, err := newMetrics(c.Metrics)
	if err != nil {
		return nil, err
	}
	bucket := c.Queue.Sweep
	return &Sweeper{
		jobs: c.Jobs, bucket: bucket, store: c.Store, policy: c.Policy, name: c.Name, every: c.Every, grace: c.Grace,
		log: c.Log, now: c.Now, rules: &Inputs{keep: c.Policy.Inputs, now: c.Now, bucket: bucket},
		stored: c.Stored, metrics: m,
	}, nil
}

// Inputs are the rules for who stores and uses inputs.
func (s *Sweeper) Inputs() *Inputs { return s.rules }

// Stored says how much each tenant has in the store.
func (s *Sweeper) Stored() *Stored { return s.stored }

// Grace is what a sweep spares unless it is told otherwise.
func (s *Sweeper) Grace() time.Duration { return s.grace }

// jitter is d, give or take a tenth, so that gateways that started together do not stay together.
func jitter(d time.Duration) time.Duration {
	return d - d/10 + rand.N(d/5+1)
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
