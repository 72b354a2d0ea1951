package coordinator

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// Config of a coordinator.
type Config struct {
	// Queue is a gateway's connection, with its streams made. Required.
	Queue *jobqueue.Queue
	// Store holds specifications and outputs. Required.
	Store objstore.Store
	// Lease is how long an executor may be silent before its attempts are lost; default 30 s.
	Lease time.Duration
	// Beat is how often executors are told to send a heartbeat; default 5 s.
	Beat time.Duration
	// Overtime is how long after its wall limit an attempt may still hold its
	// lease, for staging and uploads; default 1 h.
	Overtime time.Duration
	// Reconcile is how often offers are compared with records, followers looked after, and
	// pools and executors retired that are not needed any more; default 5 s.
	Reconcile time.Duration
	// Audit is how often the index of all jobs is compared with their keys; default 1 h,
	// and soon after each new connection.
	Audit time.Duration
	// MaxAttempts is how often a job is tried before it is dead, 1 to [MaxMaxAttempts]; default 3.
	MaxAttempts int
	// MaxLosses is with how many of a job's attempts an executor may be lost before
	// the job is dead: it may be what ends them; default 2.
	MaxLosses int
	// MaxHandbacks is how many attempts that executors handed back are not counted;
	// default 10, or what a record has room for beside MaxAttempts.
	MaxHandbacks int
	// Limits are what tenants may have, until [Coordinator.SetLimits] says otherwise.
	Limits LimitTable
	// PoolIdle is how long a pool stays that has no jobs, or no executors; default 10 min.
	PoolIdle time.Duration
	// OnEnded is told of every record that is terminal: at once of those that
	// this gateway wrote (here), and, soon after, of all that anybody wrote, at
	// the start of all that there are, each with its revision. So it hears of most
	// ends twice. It must not wait. Default: nobody is told.
	OnEnded func(rec schemas.Record, rev uint64, here bool)
	// Ledger counts what tenants have in the object store. Default: nobody counts,
	// and [Limits.StoredBytes] bounds nothing.
	Ledger Ledger
	// MaxCached bounds a tenant's entries in the result cache. Default: [resultcache.MaxEntries].
	MaxCached int64
	Log       *slog.Logger
	// Metrics is where the coordinator registers its metrics; nil for nowhere.
	Metrics prometheus.Registerer
	// Now is the clock; default time.Now. Leases need its monotonic reading.
	Now func() time.Time
}

// MaxMaxAttempts bounds Config.MaxAttempts.
const MaxMaxAttempts = 10

// maxHistory is how many attempts a record has room for.
const maxHistory = 13

func (c Config) withDefaults() (Config, error) {
	if c.Queue == nil || c.Store == nil {
		return c, errors.New("coordinator: a queue and a store are required")
	}
	defaultTo(&c.Lease, 30*time.Second)
	defaultTo(&c.Beat, 5*time.Second)
	defaultTo(&c.Overtime, time.Hour)
	defaultTo(&c.Reconcile, 5*time.Second)
	defaultTo(&c.Audit, time.Hour)
	defaultTo(&c.MaxAttempts, 3)
	defaultTo(&c.MaxLosses, 2)
	defaultTo(&c.MaxHandbacks, 10)
	c.Limits = c.Limits.withDefaults()
	defaultTo(&c.PoolIdle, 10*time.Minute)
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Ledger == nil {
		c.Ledger = noLedger{}
	}
	if c.OnEnded == nil {
		c.OnEnded = func(schemas.Record, uint64, bool) {}
	}
	if c.MaxAttempts < 1 || c.MaxAttempts > MaxMaxAttempts || c.MaxLosses < 1 {
		return c, fmt.Errorf("coordinator: %d attempts and %d losses: want 1 to %d, and 1 or more", c.MaxAttempts, c.MaxLosses, MaxMaxAttempts)
	}
	c.MaxHandbacks = min(c.MaxHandbacks, maxHistory-c.MaxAttempts)
	if c.Beat >= c.Lease {
		return c, errors.New("coordinator: the heartbeat must be shorter than the lease")
	}
	return c, nil
}

// look is how often leases are looked at.
func (c Config) look() time.Duration { return max(c.Beat/2, 5*time.Millisecond) }

func defaultTo[T comparable](v *T, fallback T) {
	var zero T
	if *v == zero {
		*v = fallback
	}
}
