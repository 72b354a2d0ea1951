package onebox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore/s3"
	"github.com/program-explorer/pe/internal/roles"
)

// Config of a box.
type Config struct {
	// DataDir holds all its state; one box at a time. Required.
	DataDir string
	// Listen is the API's address, port 0 allowed. Default 127.0.0.1:7300.
	Listen string
	// Tokens may use the API; required unless Listen is of the loopback interface.
	Tokens []access.Token
	// Limits and Proxies are as in [roles.GatewayConfig].
	Limits  *access.Limits
	Proxies access.Proxies
	// GuestDir holds guest bundles. Required, unless jobs run nothing.
	GuestDir string
	// ExecutorID names its executor. Default "local".
	ExecutorID string
	// Labels are the executor's.
	Labels map[string]string
	// Slots is how many jobs run at once. Default 1.
	Slots int
	// StageAhead is how many jobs more are staged while all slots are taken. Default 0.
	StageAhead int
	// Grace is how long running jobs may go on at shutdown. Default 20 s.
	Grace time.Duration
	// Ways are the ways to run jobs. Default: virtual machines alone.
	Ways roles.WaysConfig
	// Ready says what may be used to have machines ready before their jobs. Default: nothing.
	Ready roles.ReadyConfig
	// Images says where images come from, ImageBytes bounds their cache (default 20 GiB).
	Images     imagesync.Sources
	ImageBytes int64
	// Jobs says how jobs are tried.
	Jobs roles.JobsConfig
	// Keep is how long jobs and their files are kept. Default: for ever.
	Keep retention.Policy
	// S3 is the object store. Default: a folder in DataDir.
	S3 *s3.Config
	// NATS is a queue that runs elsewhere. Default: a server inside this process.
	NATS *jobqueue.Config
	// Webhooks says where, beside public addresses, ends of jobs may be told.
	Webhooks roles.WebhooksConfig
	// Version of this program.
	Version string
	// Log default: discard.
	Log *slog.Logger
}

// Box is a running system.
type Box struct {
	url    string
	cancel context.CancelFunc
	done   chan struct{}
	err    error
}

// Start brings the system up and returns when it takes requests and its
// executor is registered, so that a job sent now runs now. ctx bounds the start alone; Close or Stop ends the box.
func Start(ctx context.Context, c Config) (*Box, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.ExecutorID == "" {
		c.ExecutorID = "local"
	}
	p := &parts{cfg: c, metrics: roles.NewRegistry()}
	if err := p.assemble(ctx); err != nil {
		return nil, errors.Join(err, p.close())
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	b := &Box{url: p.gateway.URL(), cancel: cancel, done: make(chan struct{})}
	go func() {
		defer close(b.done)
		b.err = errors.Join(p.run(running), p.close())
		cancel()
	}()
	select {
	case <-p.executor.Registered():
		return b, nil
	case <-b.done:
		return nil, b.err
	case <-ctx.Done():
		return nil, errors.Join(context.Cause(ctx), b.Close())
	}
}

// URL is the API's address.
func (b *Box) URL() string { return b.url }

// Stop begins to end the box: running jobs get Config.Grace.
func (b *Box) Stop() { b.cancel() }

// Wait returns when nothing of the box is left, and says why if it was not stopped.
func (b *Box) Wait() error {
	<-b.done
	return b.err
}

// Close ends the box and waits for its end.
func (b *Box) Close() error {
	b.Stop()
	return b.Wait()
}

// parts are what a box consists of, and how to undo each, last first.
type parts struct {
	cfg      Config
	metrics  *prometheus.Registry // of gateway and executor together
	nats     *embedded            // nil if it runs elsewhere
	gateway  *roles.Gateway
	executor *roles.Executor
	undo     []func() error
	once     sync.Once
	undoErr  error
}

func (p *parts) later(f func() error) { p.undo = append(p.undo, f) }

func (p *parts) close() error {
	p.once.Do(func() {
		for i := len(p.undo) - 1; i >= 0; i-- {
			p.undoErr = errors.Join(p.undoErr, p.undo[i]())
		}
	})
	return p.undoErr
}

// assemble makes the parts, each from the ones before it.
func (p *parts) assemble(ctx context.Context) error {
	unlock, err := roles.Lock(p.cfg.DataDir)
	if err != nil {
		return err
	}
	p.later(unlock)
	connect, err := p.queue()
	if err != nil {
		return err
	}
	if err := p.makeGateway(ctx, connect); err != nil {
		return err
	}
	return p.makeExecutor(ctx, connect)
}

// run serves until ctx ends. The executor stops first: until its last job is
// reported it needs the gateway.
func (p *parts) run(ctx context.Context) error {
	serving, stopServing := context.WithCancel(context.WithoutCancel(ctx))
	defer stopServing()
	group, serving := errgroup.WithContext(serving)
	if p.nats != nil {
		group.Go(func() error { return p.nats.mend(serving) })
	}
	group.Go(func() error { return p.gateway.Run(serving) })
	group.Go(func() error {
		defer stopServing()
		working, stop := context.WithCancel(ctx)
		defer stop()
		defer context.AfterFunc(serving, stop)()
		if err := p.executor.Run(working); err != nil && ctx.Err() == nil {
			return fmt.Errorf("executor: %w", err)
		}
		return nil
	})
	return group.Wait()
}

func (p *parts) makeGateway(ctx context.Context, connect connector) error {
	queue, err := connect(ctx, "gateway", "")
	if err != nil {
		return err
	}
	p.later(func() error { queue.Close(); return nil })
	store, objects, err := p.store(ctx)
	if err != nil {
		return err
	}
	checks := map[string]func(context.Context) error{}
	if p.nats != nil {
		checks["queue disk"] = p.nats.hasRoom
	}
	p.gateway, err = roles.NewGateway(ctx, roles.GatewayConfig{
		Checks:  checks,
		Metrics: p.metrics,
		Listen:  p.cfg.Listen, Tokens: p.cfg.Tokens, Limits: p.cfg.Limits, Proxies: p.cfg.Proxies, Queue: queue, Store: store, Objects: objects,
		Images: p.images(), Jobs: p.cfg.Jobs, Keep: p.cfg.Keep, Webhooks: p.cfg.Webhooks, Version: p.cfg.Version, Log: p.cfg.Log,
	})
	if err != nil {
		return err
	}
	p.later(func() error { p.gateway.Close(); return nil }) // closed already if it ran
	return nil
}

func (p *parts) makeExecutor(ctx context.Context, connect connector) error {
	queue, err := connect(ctx, "executor "+p.cfg.ExecutorID, p.cfg.ExecutorID)
	if err != nil {
		return err
	}
	p.later(func() error { queue.Close(); return nil })
	p.executor, err = roles.NewExecutor(ctx, roles.ExecutorConfig{
		Metrics: p.metrics,
		ID:      p.cfg.ExecutorID, Dir: p.cfg.DataDir, GuestDir: p.cfg.GuestDir, Slots: p.cfg.Slots, StageAhead: p.cfg.StageAhead, Labels: p.cfg.Labels,
		Queue: queue, Images: p.images(), ImageBytes: p.cfg.ImageBytes, Grace: p.cfg.Grace,
		Ways: p.cfg.Ways, Ready: p.cfg.Ready, Version: p.cfg.Version, Log: p.cfg.Log,
	})
	if err != nil {
		return err
	}
	p.later(p.executor.Close) // closed already if it ran
	return nil
}

// images lets the gateway name what was imported into the executor's cache: they are one machine.
func (p *parts) images() imagesync.Sources {
	s := p.cfg.Images
	s.ImportsDir = roles.ImageDir(p.cfg.DataDir)
	return s
}

// objectsURL is where the gateway serves the folder store's signed requests.
func (p *parts) objectsURL() string { return p.gateway.URL() + "/v1/objects/" }

func (p *parts) storeDir() string { return filepath.Join(p.cfg.DataDir, "objects") }

// underObjects serves a handler that knows keys alone.
func underObjects(h http.Handler) http.Handler { return http.StripPrefix("/v1/objects", h) }
