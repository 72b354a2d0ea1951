package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/roles"
)

// executorCommand is what `ped executor` was told.
type executorCommand struct {
	log    logFlags
	data   dataFlags
	guest  guestFlags
	ready  readyFlags
	ways   waysFlags
	noop   noopFlags
	work   workFlags
	queue  queueFlags
	images imageFlags
	id     string
	labels []string
	owner  string
	namers []string
	// metrics is the address at which they are served; empty for none.
	metrics string
}

// workFlags say how much an executor does at once, and how it ends.
type workFlags struct {
	slots int
	ahead int
	grace time.Duration
}

func (w *workFlags) bind(slots int) *pflag.FlagSet {
	f := newGroup()
	f.IntVar(&w.slots, "slots", slots, "at most `N` jobs run at once")
	f.IntVar(&w.ahead, "stage-ahead", 0, "up to `N` jobs more are claimed and staged while all slots are taken; for many short jobs")
	f.DurationVar(&w.grace, "grace", 20*time.Second, "`TIME` that running jobs may go on at shutdown; then they are handed back and run again")
	return f
}

func (a *app) executor() *cobra.Command {
	var e executorCommand
	cmd := &cobra.Command{
		Use:   "executor",
		Short: "Run jobs on this machine; it needs no open port, and may sit behind NAT",
		Long: `Take jobs from the queue and run each in a machine of its own. An executor only
connects outwards: to NATS, to the object store by signed URLs, to registries. With
--metrics-listen it shows its metrics, too, to whoever can reach that address.

A first SIGINT or SIGTERM takes no more jobs and lets those that run end within
--grace, then hands them back; a second one ends the process at once.`,
		Example: `  ped executor --nats-url tls://queue.example.org --nats-nkey-file cellar.nk \
    --executor-id cellar --label site=cellar --slots 4`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runExecutor(cmd.Context(), e) },
	}
	f := newGroup()
	f.StringVar(&e.id, "executor-id", hostID(), "`ID` of this executor: 1 to 40 of a-z, 0-9 and -, unique in the system")
	f.StringSliceVar(&e.labels, "label", nil, "`NAME=VALUE` that jobs may ask for; repeat for more")
	f.StringVar(&e.owner, "owner", "", "`TENANT` whose machine it is: who alone may require it by its name")
	f.StringSliceVar(&e.namers, "named-by", nil, "`TENANT` that may require it by its name, too, or * for all; repeat for more (default everybody, without --owner)")
	f.StringVar(&e.metrics, "metrics-listen", "", "`ADDRESS` that serves GET /metrics and /healthz, without a token; port 0 takes a free one, and the log says which (default: none)")
	return a.configured(cmd, f, e.data.bind(a.getenv), e.guest.bind(), e.ready.bind(), e.ways.bind(), e.noop.bind(), e.work.bind(defaultSlots()), e.queue.bind(" (required)"), e.images.bindSources(), e.images.bindCache(), e.images.bindUsers(), e.log.bind())
}

func (a *app) runExecutor(ctx context.Context, e executorCommand) error {
	a.listens = "--metrics-listen"
	log, err := e.log.logger(a.stderr)
	if err != nil {
		return err
	}
	if e.queue.url == "" {
		return usageError{fmt.Errorf("an executor needs --nats-url; ped up needs none")}
	}
	c := roles.ExecutorConfig{
		ID: e.id, Dir: e.data.dir, GuestDir: e.guest.in(e.data.dir), Ready: e.ready.config(), Ways: e.noop.in(e.ways.ways), Slots: e.work.slots, StageAhead: e.work.ahead, Grace: e.work.grace,
		ImageBytes: int64(e.images.cacheSize), Owner: e.owner, NamedBy: e.namers, Version: version, Log: log,
		MetricsListen: e.metrics,
	}
	if c.Labels, err = pairs("label", e.labels); err != nil {
		return usageError{err}
	}
	if c.Images, err = e.images.sources(); err != nil {
		return err
	}
	queue, err := e.queue.config("executor "+e.id, log)
	if err != nil {
		return err
	}
	queue.Executor = e.id
	unlock, err := roles.Lock(c.Dir)
	if err != nil {
		return err
	}
	defer unlock()
	if c.Queue, err = jobqueue.Connect(ctx, queue); err != nil {
		return stopped(ctx, err)
	}
	defer c.Queue.Close()
	executor, err := roles.NewExecutor(ctx, c)
	if err != nil {
		return stopped(ctx, err)
	}
	return executor.Run(ctx)
}
