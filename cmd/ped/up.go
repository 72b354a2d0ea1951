package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/internal/onebox"
	"github.com/program-explorer/pe/internal/roles"
)

// upCommand is what `ped up` was told.
type upCommand struct {
	log    logFlags
	data   dataFlags
	at     listenFlags
	serve  serveFlags
	limits limitFlags
	guest  guestFlags
	ready  readyFlags
	ways   waysFlags
	noop   noopFlags
	work   workFlags
	queue  queueFlags
	copies copyFlags
	store  storeFlags
	images imageFlags
	jobs   jobsFlags
	hooks  webhookFlags
	keep   keepFlags
	id     string
	labels []string
}

func (a *app) up() *cobra.Command {
	var u upCommand
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Run everything in one process: queue, store, gateway and executor",
		Long: `Run the whole system in one process. The queue is an embedded NATS server and the
object store a folder, both syncing every write, both within --data-dir; --nats-url
and --s3-endpoint use servers that run elsewhere.

Prints the address once it takes jobs. It listens on this machine alone unless
--listen says otherwise, and that wants an access token (ped token create).

A first SIGINT or SIGTERM takes no more jobs and lets those that run end within
--grace, then hands them back; a second one ends the process at once.`,
		Example: `  ped up --guest-dir .cache/guest --catalog .cache/catalog.yaml
  ped up --listen 127.0.0.1:0 --data-dir /tmp/box --ready-file /tmp/box.url`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.runUp(cmd.Context(), u) },
	}
	f := newGroup()
	f.StringVar(&u.id, "executor-id", "local", "`ID` of its executor: 1 to 40 of a-z, 0-9 and -")
	f.StringSliceVar(&u.labels, "label", nil, "`NAME=VALUE` that jobs may ask for; repeat for more")
	return a.configured(cmd, f, u.data.bind(a.getenv), u.at.bind(), u.serve.bind(), u.limits.bind(), u.jobs.bind(), u.guest.bind(), u.ready.bind(), u.ways.bind(), u.noop.bind(), u.work.bind(defaultSlots()),
		u.queue.bind(" (default: embedded)"), u.copies.bind(), u.store.bind(" (default: a folder in DATA-DIR)"), u.images.bindSources(), u.images.bindCache(), u.images.bindUsers(), u.hooks.bind(), u.keep.bind(), u.log.bind())
}

func (a *app) runUp(ctx context.Context, u upCommand) error {
	c, err := a.boxConfig(u)
	if err != nil {
		return err
	}
	box, err := onebox.Start(ctx, c)
	if err != nil {
		return stopped(ctx, err)
	}
	if err := a.ready(box.URL(), u.serve.readyFile); err != nil {
		box.Stop()
		box.Wait()
		return err
	}
	defer context.AfterFunc(ctx, box.Stop)()
	return box.Wait()
}

func (a *app) boxConfig(u upCommand) (onebox.Config, error) {
	c := onebox.Config{
		DataDir: u.data.dir, Listen: u.at.listen, GuestDir: u.guest.in(u.data.dir),
		Ready: u.ready.config(), Ways: u.noop.in(u.ways.ways), ExecutorID: u.id, Slots: u.work.slots, StageAhead: u.work.ahead, Grace: u.work.grace,
		ImageBytes: int64(u.images.cacheSize), Version: version,
	}
	var err error
	if c.Log, err = u.log.logger(a.stderr); err != nil {
		return c, err
	}
	if c.Labels, err = pairs("label", u.labels); err != nil {
		return c, usageError{err}
	}
	if c.Tokens, err = roles.LoadTokens(u.serve.tokenFile); err != nil {
		return c, err
	}
	if c.Limits, c.Proxies, err = u.limits.limits(); err != nil {
		return c, err
	}
	if c.Images, err = u.images.sources(); err != nil {
		return c, err
	}
	if c.Jobs, err = u.jobs.config(); err != nil {
		return c, err
	}
	if c.Webhooks, err = u.hooks.config(); err != nil {
		return c, err
	}
	if c.Keep, err = u.keep.policy(); err != nil {
		return c, err
	}
	if u.store.endpoint != "" {
		s3Config, err := u.store.config()
		if err != nil {
			return c, err
		}
		c.S3 = &s3Config
	}
	if u.queue.url != "" {
		queue, err := u.queue.config("up", c.Log)
		if err == nil {
			queue, err = u.copies.of(queue)
		}
		if err != nil {
			return c, err
		}
		c.NATS = &queue
	}
	return c, nil
}
