package webhook

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Config of an outbox.
type Config struct {
	// Queue is a gateway's connection, with its buckets made. Required.
	Queue *jobqueue.Queue
	// Past reads a tenant's records that have left the queue's bucket of jobs: see
	// the coordinator's method of that name. Default: there are none.
	Past func(ctx context.Context, tenant string, after uint64, ended time.Time, each func(*schemas.Record, uint64) bool) (resume uint64, err error)
	// Campaigns lists a tenant's campaigns: all that it knows, ended or not. Default: there are none.
	Campaigns func(tenant string) ([]schemas.Campaign, error)
	// PublicURL is the gateway's address as receivers know it, for links in
	// payloads. Default: links are paths.
	PublicURL string
	// Allow and Deny are ranges of addresses that may, or may not, be sent to
	// beside what everybody may: public ones over https. Allow wins, and it alone allows http.
	Allow, Deny []netip.Prefix
	// Version of this program, for the header User-Agent.
	Version string
	// RootCAs that receivers' certificates may come from. Default: the system's.
	RootCAs *x509.CertPool
	// Resolver looks names up. Default: the machine's.
	Resolver *net.Resolver
	// Timeout bounds one request. Default 15 s.
	Timeout time.Duration
	// Schedule has the pause before each attempt. Default [Schedule].
	Schedule []time.Duration
	// PerWebhook, PerTenant and Overall bound the requests under way to one
	// webhook or callback host, for one tenant, and from this gateway; defaults 4, 16 and 64.
	PerWebhook, PerTenant, Overall int
	// MaxPending bounds a tenant's pending deliveries; more ends wait in their
	// jobs' records. Half of it is for webhooks and half for callbacks, and a receiver
	// gets no more than a sixteenth of what is free of its half. Default 10,000.
	MaxPending int
	// MaxKept bounds a tenant's deliveries, those that have ended counted, which are kept
	// for [jobqueue.DeliveryAge]: 300 bytes each in every gateway. More ends wait in
	// their jobs' records. Default 1,000,000.
	MaxKept int
	// MaxBacklog bounds the ends of a tenant that wait in this gateway's memory for
	// their deliveries to be made; of more the records are read again. It is shared
	// likewise, by fourths. Default 2,000.
	MaxBacklog int
	// Grace is how long requests under way may go on when Run's context ends. Default 5 s.
	Grace time.Duration
	// Clock default: the machine's.
	Clock Clock
	// Log default: discard.
	Log *slog.Logger
	// Metrics is where the outbox registers its metrics; nil for nowhere.
	Metrics prometheus.Registerer
}

func (c Config) withDefaults() (Config, error) {
	if c.Queue == nil {
		return c, errors.New("webhook: a queue is required")
	}
	if c.PublicURL != "" {
		u, err := url.Parse(c.PublicURL)
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || len(c.PublicURL) > schemas.MaxURLBytes {
			return c, fmt.Errorf("public address %.200q: want one such as https://pe.example.org", c.PublicURL)
		}
		c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	}
	defaultTo(&c.Timeout, 15*time.Second)
	defaultTo(&c.Grace, 5*time.Second)
	defaultTo(&c.PerWebhook, 4)
	defaultTo(&c.PerTenant, 16)
	defaultTo(&c.Overall, 64)
	defaultTo(&c.MaxPending, 10_000)
	defaultTo(&c.MaxKept, 1_000_000)
	defaultTo(&c.MaxBacklog, 2000)
	if len(c.Schedule) == 0 {
		c.Schedule = Schedule()
	}
	if c.Past == nil {
		c.Past = func(context.Context, string, uint64, time.Time, func(*schemas.Record, uint64) bool) (uint64, error) {
			return 0, nil
		}
	}
	if c.Campaigns == nil {
		c.Campaigns = func(string) ([]schemas.Campaign, error) { return nil, nil }
	}
	if c.Clock == nil {
		c.Clock = machineClock{}
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Metrics == nil {
		c.Metrics = prometheus.NewRegistry()
	}
	return c, nil
}

func defaultTo[T comparable](v *T, fallback T) {
	if *v == *new(T) {
		*v = fallback
	}
}
