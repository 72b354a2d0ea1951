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
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/jobqueue"
)

// ExecutorConfig is what an executor is put together from.
type ExecutorConfig struct {
	// ID is unique in the system. Required.
	ID string
	// Dir holds all its state: images, machines, running jobs. Required.
	Dir string
	// GuestDir holds guest bundles; there must be one for at least one architecture. Required.
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
	// Ready says what of this machine may be used to have machines ready before
	// their jobs. Default: nothing, and every machine boots.
	Ready ReadyConfig
	// Grace is how long running jobs may go on at shutdown. Default 20 s.
	Grace time.Duration
	// Version of this program.
	Version string
	// Log default: discard.
	Log *slog.Logger
	// Metrics registers the executor's metrics. Default: nowhere.
	Metrics prometheus.Registerer
}

// Executor takes jobs and runs them in machines.
type Executor struct {
	*executor.Executor
	log      *slog.Logger
	host     *vm.Host
	keeper   *keeper
	machines []*vm.Runner
}

// NewExecutor finds what machines this host can run, by booting, and returns an
// executor that does nothing until its Run.
func NewExecutor(ctx context.Context, c ExecutorConfig) (*Executor, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	images, err := imagesync.Open(imagesync.CacheConfig{
		Sources: c.Images, Dir: ImageDir(c.Dir), MaxBytes: c.ImageBytes, Log: c.Log,
	})
	if err != nil {
		return nil, err
	}
	shared, err := newHost(c)
	if err != nil {
		return nil, err
	}
	made, err := machines(ctx, c, shared)
	if err != nil {
		return nil, errors.Join(err, shared.Close())
	}
	runners := make([]executor.Runner, len(made))
	for i, r := range made {
		r.Recall()
		runners[i] = r
	}
	e, err := executor.New(executor.Config{
		ID: c.ID, Dir: filepath.Join(c.Dir, "executor"), Slots: c.Slots, StageAhead: c.StageAhead, Labels: c.Labels, Version: c.Version,
		Owner: c.Owner, Tenants: c.NamedBy,
		Queue: c.Queue, Images: images, Runners: runners, Grace: c.Grace, Metrics: c.Metrics, Log: c.Log,
	})
	if err != nil {
		return nil, errors.Join(err, shared.Close())
	}
	return &Executor{Executor: e, log: c.Log, host: shared, machines: made, keeper: &keeper{
		images: images, sources: c.Images, runners: made, log: c.Log,
	}}, nil
}

// Run takes and runs jobs until ctx ends, and returns when no machine of this
// process is left.
func (e *Executor) Run(ctx context.Context) error {
	besides, stop := context.WithCancel(ctx)
	var all sync.WaitGroup
	if e.host.Pools() {
		all.Go(func() { e.keeper.run(besides) })
	}
	all.Go(func() { e.learn(besides) })
	err := e.Executor.Run(ctx)
	stop()
	all.Wait()
	return errors.Join(err, e.Close())
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

// Close ends the machines that wait for jobs. Run does so by itself.
func (e *Executor) Close() error { return e.host.Close() }

// ImageDir is the image cache within a data directory. Several processes may use it.
func ImageDir(dataDir string) string { return filepath.Join(dataDir, "images") }
