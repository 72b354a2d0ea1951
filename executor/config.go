package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Images gives the root filesystem of an image for an architecture.
type Images interface {
	Get(ctx context.Context, reference, digest, arch string) (*imagesync.Image, error)
}

// Config of an executor.
type Config struct {
	// ID names the executor: a subject token, unique in the system. Required.
	ID string
	// Dir holds what running jobs need; an executor has it to itself. Required.
	Dir string
	// Slots is how many jobs run at once. Default 1.
	Slots int
	// StageAhead is how many jobs, besides those, are claimed and staged while all
	// slots are taken, so that one is ready when a slot is free. It is for many short
	// jobs: behind a long one, a job waits here that another executor might have
	// run. Default 0.
	StageAhead int
	// Labels are the operator's own facts: site=basement.
	Labels map[string]string
	// Owner is the tenant whose machine it is, and Tenants those who may also require
	// it by name, "*" for all. Default: everybody may.
	Owner   string
	Tenants []string
	// Version of this program, for the facts.
	Version string
	// Queue is the connection to the job queue. Required.
	Queue *jobqueue.Queue
	// Images is the local image cache. Required.
	Images Images
	// Runners make machines, each of one kind; the first that fits a job runs it. Required.
	Runners []Runner
	// HTTP reaches the object store; its redirects are not followed. Default: a client of its own.
	HTTP *http.Client
	// Grace is how long running jobs may go on after a request to shut down,
	// before they are handed back. Default 20 s.
	Grace time.Duration
	// Metrics registers the executor's metrics. Default: nowhere.
	Metrics prometheus.Registerer
	// Log default: discard.
	Log *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	switch {
	case !schemas.ValidToken(c.ID):
		return c, fmt.Errorf("executor id %q: want 1 to 40 of a-z, 0-9 and -", c.ID)
	case c.Dir == "":
		return c, errors.New("executor needs a folder")
	case c.Queue == nil || c.Images == nil || len(c.Runners) == 0:
		return c, errors.New("executor needs a queue, images and at least one runner")
	case c.Owner != "" && !schemas.ValidToken(c.Owner):
		return c, fmt.Errorf("executor's owner %q: want a tenant's name, 1 to 40 of a-z, 0-9 and -", c.Owner)
	case slices.ContainsFunc(c.Tenants, func(t string) bool { return t != schemas.AnyTenant && !schemas.ValidToken(t) }):
		return c, fmt.Errorf("executor's tenants %q: want names of 1 to 40 of a-z, 0-9 and -, or *", c.Tenants)
	}
	if c.Slots <= 0 {
		c.Slots = 1
	}
	c.StageAhead = max(c.StageAhead, 0)
	if c.HTTP == nil {
		c.HTTP = newHTTPClient(c.Slots + c.StageAhead)
	}
	if c.Grace <= 0 {
		c.Grace = 20 * time.Second
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func newHTTPClient(slots int) *http.Client {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = fetchedAtOnce * slots
	transport.ResponseHeaderTimeout = time.Minute
	transport.DisableCompression = true
	return &http.Client{Transport: transport}
}
