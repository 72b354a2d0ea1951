package roles

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway"
	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/gateway/campaign"
	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/gateway/webhook"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// GatewayConfig is what a gateway is put together from.
type GatewayConfig struct {
	// Listen is its address, port 0 allowed. Default 127.0.0.1:7300.
	Listen string
	// Tokens are those of the token file; those that were made are in the queue's
	// bucket. One must be usable, unless Listen is of the loopback interface.
	Tokens []access.Token
	// Limits and Proxies are as in [api.Config].
	Limits  *access.Limits
	Proxies access.Proxies
	// Queue is a gateway's connection. Required.
	Queue *jobqueue.Queue
	// Store keeps objects. Required.
	Store objstore.Store
	// Objects serves the store's signed URLs; nil if the store does that itself.
	Objects http.Handler
	// Images says where images may come from.
	Images imagesync.Sources
	// Jobs says how jobs are tried.
	Jobs JobsConfig
	// Webhooks says where, beside public addresses, ends of jobs may be told.
	Webhooks WebhooksConfig
	// Keep is how long jobs and their files are kept. Default: for ever.
	Keep retention.Policy
	// Checks are asked by /readyz, as in [api.Config].
	Checks map[string]func(context.Context) error
	// Version of this program.
	Version string
	// Log default: discard.
	Log *slog.Logger
	// Metrics is what /metrics shows. Default: a registry of its own.
	Metrics *prometheus.Registry
}

// JobsConfig says how jobs are tried, and what tenants may have; zero values are
// the coordinator's defaults.
type JobsConfig struct {
	// MaxAttempts and MaxLosses are those of [coordinator.Config].
	MaxAttempts, MaxLosses int
	// Limits are every tenant's that TenantsFile says nothing else of.
	Limits coordinator.Limits
	// TenantsFile is a YAML file with tenants' limits; it is read again when it
	// changes. Empty for none.
	TenantsFile string
}

// WebhooksConfig is what an operator decides about webhooks.
type WebhooksConfig struct {
	// PublicURL is the gateway's address as receivers know it, for links. Default: links are paths.
	PublicURL string
	// Allow and Deny are ranges of addresses that may, or may not, be sent to; see [webhook.Config].
	Allow, Deny []netip.Prefix
}

// Gateway is one that listens.
type Gateway struct {
	server      *gateway.Server
	coordinator *coordinator.Coordinator
	tokens      *access.Tokens
	outbox      *webhook.Outbox
	campaigns   *campaign.Campaigns
	tenants     *tenantsFile
	log         *slog.Logger
	sweeper     *retention.Sweeper
}

// NewGateway makes the queue's streams and listens. Requests wait until Run serves them.
func NewGateway(ctx context.Context, c GatewayConfig) (*Gateway, error) {
	if c.Metrics == nil {
		c.Metrics = NewRegistry()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := c.Queue.EnsureStreams(ctx); err != nil {
		return nil, err
	}
	var jobs *coordinator.Coordinator
	past := func(ctx context.Context, tenant string, after uint64, ended time.Time, each func(*schemas.Record, uint64) bool) (uint64, error) {
		return jobs.Past(ctx, tenant, after, ended, each)
	}
	var campaigns *campaign.Campaigns
	outbox, err := webhook.New(webhook.Config{
		Queue: c.Queue, PublicURL: c.Webhooks.PublicURL, Allow: c.Webhooks.Allow, Deny: c.Webhooks.Deny,
		Version: c.Version, Log: c.Log, Metrics: c.Metrics, Past: past,
		Campaigns: func(tenant string) ([]schemas.Campaign, error) { return campaigns.List(tenant) },
	})
	if err != nil {
		return nil, err
	}
	tenants := &tenantsFile{path: c.Jobs.TenantsFile, standard: c.Jobs.Limits}
	limits, _, err := tenants.read()
	if err != nil {
		return nil, err
	}
	stored := retention.NewStored(c.Queue, 0, nil)
	if err := stored.Load(ctx); err != nil {
		return nil, err
	}
	ended := func(rec schemas.Record, rev uint64, here bool) {
		outbox.Ended(rec, rev, here)
		campaigns.JobEnded(rec, rev)
	}
	jobs, err = coordinator.New(coordinator.Config{
		Queue: c.Queue, Store: c.Store, OnEnded: ended, Ledger: stored, Log: c.Log, Metrics: c.Metrics,
		MaxAttempts: c.Jobs.MaxAttempts, MaxLosses: c.Jobs.MaxLosses, Limits: limits,
	})
	if err != nil {
		return nil, err
	}
	campaigns, err = campaign.New(campaign.Config{Queue: c.Queue, Jobs: jobs, OnEnded: outbox.CampaignEnded, Keep: c.Keep.Records, Log: c.Log, Metrics: c.Metrics})
	if err != nil {
		return nil, err
	}
	tokens := access.NewTokens(c.Tokens, c.Queue.Tokens, c.Log)
	if err := tokens.Load(ctx); err != nil {
		return nil, err
	}
	host, _ := os.Hostname() // for people to tell gateways apart
	sweeper, err := retention.New(retention.Config{Jobs: jobs, Queue: c.Queue, Store: c.Store, Stored: stored, Policy: c.Keep, Name: host, Log: c.Log, Metrics: c.Metrics})
	if err != nil {
		return nil, err
	}
	resolver := imagesync.NewResolver(imagesync.ResolverConfig{Sources: c.Images})
	server, err := gateway.New(gateway.Config{Addr: c.Listen, API: api.Config{
		Jobs: jobs, Store: c.Store, Objects: c.Objects, Webhooks: outbox, Campaigns: campaigns, Tokens: tokens, Limits: c.Limits, Proxies: c.Proxies,
		Inputs: sweeper.Inputs(), Sweeper: sweeper, Checks: c.Checks,
		Resolve: resolve(resolver, c.Images.Catalog),
		Images:  catalogList(c.Images.Catalog, resolve(resolver, c.Images.Catalog)),
		Log:     c.Log, Metrics: c.Metrics, Version: c.Version,
	}})
	if err != nil {
		return nil, err
	}
	return &Gateway{server: server, coordinator: jobs, tokens: tokens, sweeper: sweeper, outbox: outbox, campaigns: campaigns, tenants: tenants, log: c.Log}, nil
}

// URL is the address as a client uses it.
func (g *Gateway) URL() string { return g.server.URL() }

// Run serves until ctx ends, and returns when all that it started has stopped.
func (g *Gateway) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		if err := g.outbox.Run(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("tell of ends: %w", err)
		}
		return nil
	})
	group.Go(func() error {
		g.awaitKnown(ctx)
		if err := g.coordinator.Run(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("coordinate jobs: %w", err)
		}
		return nil
	})
	group.Go(func() error { return g.campaigns.Run(ctx) })
	group.Go(func() error { return g.tokens.Run(ctx) })
	if g.tenants.path != "" {
		group.Go(func() error {
			g.tenants.watch(ctx, g.log, g.coordinator.SetLimits)
			return nil
		})
	}
	group.Go(func() error { return g.sweeper.Run(ctx) })
	group.Go(func() error { return g.server.Run(ctx) })
	return group.Wait()
}

// awaitKnown waits for what is told of ends, so that none has to be remembered; but jobs wait for nobody.
func (g *Gateway) awaitKnown(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, knownPatience)
	defer cancel()
	for _, known := range []<-chan struct{}{g.outbox.Known(), g.campaigns.Known()} {
		select {
		case <-ctx.Done():
		case <-known:
		}
	}
}

// knownPatience is how long jobs wait for the webhooks and campaigns to be known.
const knownPatience = 5 * time.Second

// Close gives back the address of a gateway that was not run.
func (g *Gateway) Close() error { return g.server.Close() }
