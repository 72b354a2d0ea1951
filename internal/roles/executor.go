package roles

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/host"
	"github.com/program-explorer/pe/executor/noop"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// ExecutorConfig is what an executor is put together from.
type ExecutorConfig struct {
	// ID is unique in the system. Required.
	ID string
	// Dir holds all its state: images, machines, running jobs. Required.
	Dir string
	// GuestDir holds guest bundles; there must be one for at least one architecture.
	// Required, unless WayNoop is the only way to run jobs.
	GuestDir string
	// Slots is how many jobs run at once. Default 1.
	Slots int
	// StageAhead is how many jobs more are staged while all slots are taken. Default 0.
	StageAhead int
	// Labels are the operator's own facts.
	Labels map[string]string
	// Owner is the tenant whose machine it is, and NamedBy those who may also require
	// it by name, "*" for all. Default: everybody may.
	Owner   string
	NamedBy []string
	// Queue is the executor's own connection. Required.
	Queue *jobqueue.Queue
	// Images says where images come from, ImageBytes bounds their cache (default 20 GiB).
	Images     imagesync.Sources
	ImageBytes int64
	// Ways are the ways to run jobs. Default: virtual machines alone.
	Ways WaysConfig
	// Ready says what of this machine may be used to have machines ready before
	// their jobs. Default: nothing, and every machine boots.
	Ready ReadyConfig
	// Grace is how long running jobs may go on at shutdown. Default 20 s.
	Grace time.Duration
	// Version of this program.
	Version string
	// Log default: discard.
	Log *slog.Logger
	// Metrics is where the executor's metrics are. Default: a registry of its own.
	Metrics *prometheus.Registry
	// MetricsListen is the address at which they are served, port 0 allowed. Default: none.
	MetricsListen string
}

// Executor takes jobs and runs them in machines.
type Executor struct {
	*executor.Executor
	log      *slog.Logger
	host     *vm.Host
	keeper   *keeper
	machines []*vm.Runner
	// contained are the runners that are not virtual machines.
	contained []containedRunner
	// metrics is nil if nobody is to see them.
	metrics *metricsServer
}

// NewExecutor finds what machines this host can run, by booting, and returns an
// executor that does nothing until its Run.
func NewExecutor(ctx context.Context, c ExecutorConfig) (*Executor, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = NewRegistry()
	}
	if err := c.Ways.check(); err != nil {
		return nil, err
	}
	e := &Executor{log: c.Log}
	if err := e.assemble(ctx, c); err != nil {
		return nil, errors.Join(err, e.Close())
	}
	return e, nil
}

// assemble makes the parts. Those that were made before an error are the caller's to close.
func (e *Executor) assemble(ctx context.Context, c ExecutorConfig) (err error) {
	if c.MetricsListen != "" { // first: an address that is taken is told before machines boot
		if e.metrics, err = listenMetrics(c.MetricsListen, c.Metrics, c.Log); err != nil {
			return err
		}
	}
	// Before the first process of ours that could be in the way.
	if err := host.TakeDelegated(); err != nil {
		c.Log.Warn("machines may not be bounded from outside", "reason", err)
	}
	images, err := imagesync.Open(imagesync.CacheConfig{
		Sources: c.Images, Dir: ImageDir(c.Dir), MaxBytes: c.ImageBytes, Log: c.Log,
	})
	if err != nil {
		return err
	}
	if e.host, err = newHost(c); err != nil {
		return err
	}
	runners, err := e.makeRunners(ctx, c)
	if err != nil {
		return err
	}
	e.Executor, err = executor.New(executor.Config{
		ID: c.ID, Dir: filepath.Join(c.Dir, "executor"), Slots: c.Slots, StageAhead: c.StageAhead, Labels: c.Labels, Version: c.Version,
		Owner: c.Owner, Tenants: c.NamedBy,
		Queue: c.Queue, Images: c.Ways.images(images), Runners: runners, Grace: c.Grace, Metrics: c.Metrics, Log: c.Log,
	})
	if err != nil {
		return err
	}
	e.keeper = &keeper{images: images, sources: c.Images, runners: e.machines, log: c.Log}
	return nil
}

// makeRunners finds all ways to run jobs that are wanted and work here.
func (e *Executor) makeRunners(ctx context.Context, c ExecutorConfig) (runners []executor.Runner, err error) {
	if e.contained, err = contained(ctx, c); err != nil {
		return nil, err
	}
	for _, r := range e.contained {
		runners = append(runners, r)
	}
	if c.Ways.has(schemas.IsolationVM) {
		if e.machines, err = machines(ctx, c, e.host); err != nil && len(runners) == 0 || ctx.Err() != nil {
			return nil, err
		}
		if err != nil {
			c.Log.Warn("a way to run jobs is not offered", "isolation", schemas.IsolationVM, "reason", err)
		}
	}
	for _, r := range e.machines {
		r.Recall()
		runners = append(runners, r)
	}
	if c.Ways.has(WayNoop) {
		c.Ways.Noop.Dir = filepath.Join(c.Dir, "run", WayNoop)
		idle, err := noop.New(c.Ways.Noop)
		if err != nil {
			return nil, err
		}
		c.Log.Warn("jobs of kernel noop run nothing here: this is for measuring and for trying failure")
		runners = append(runners, idle)
	}
	if len(runners) == 0 {
		return nil, errors.New("no way to run jobs that was asked for works here: ped doctor says why")
	}
	byPreference(runners)
	return runners, nil
}

// Run takes and runs jobs until ctx ends, and returns when no machine of this
// process is left.
func (e *Executor) Run(ctx context.Context) error {
	besides, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	if e.host.Pools() && len(e.machines) > 0 {
		all.Go(func() { e.keeper.run(besides) })
	}
	all.Go(func() { e.learn(besides) })
	watched, unwatch := context.WithCancel(context.WithoutCancel(ctx)) // jobs that may still end are worth a look
	if e.metrics != nil {
		all.Go(func() { e.serveMetrics(watched) })
	}
	err := e.Executor.Run(ctx)
	stop()
	unwatch()
	all.Wait()
	return errors.Join(err, e.Close())
}

// serveMetrics does not end the jobs if it cannot go on: who scrapes notices.
func (e *Executor) serveMetrics(ctx context.Context) {
	if err := e.metrics.run(ctx); err != nil {
		e.log.Error("metrics are served no more", "reason", err)
	}
}

// learn finds out what jobs see in each kind of machine, and tells the gateway.
func (e *Executor) learn(ctx context.Context) {
	select {
	case <-e.Registered():
	case <-ctx.Done():
		return
	}
	tryAll(ctx, e.machines, e.log, func() {
		if err := e.Reoffer(ctx); err != nil && ctx.Err() == nil {
			e.log.Warn("what machines offer was not told", "reason", err)
		}
	})
}

// Close ends the machines that wait for jobs, and gives back the address of the
// metrics. Run does so by itself.
func (e *Executor) Close() error {
	var errs []error
	if e.metrics != nil {
		errs = append(errs, e.metrics.close())
	}
	if e.host != nil {
		errs = append(errs, e.host.Close())
	}
	for _, r := range e.contained {
		errs = append(errs, r.Close())
	}
	return errors.Join(errs...)
}

// ImageDir is the image cache within a data directory. Several processes may use it.
func ImageDir(dataDir string) string { return filepath.Join(dataDir, "images") }
