package jobqueue

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Errors that callers branch on.
var (
	// ErrNotFound: the bucket has no such key, the stream no such message.
	ErrNotFound = errors.New("not found")
	// ErrConflict: the key exists already, or has another revision than was expected.
	ErrConflict = errors.New("written by somebody else")
	// ErrOffered: there is an offer of this job already.
	ErrOffered = errors.New("offered already")
	// ErrFull: the stream takes no more.
	ErrFull = errors.New("queue is full")
	// ErrNobody: nobody listens on the other side of a request now.
	ErrNobody = errors.New("nobody answers")
)

// InProcess is an embedded NATS server.
type InProcess interface {
	InProcessConn() (net.Conn, error)
}

// Config of a connection.
type Config struct {
	// URL is one or more servers, separated by commas; not used with Server.
	URL string
	// Server is an embedded one, reached without a socket.
	Server InProcess
	// CredentialsFile is a NATS .creds file. Or NKeyFile, a file with the seed of an
	// nkey. Or User and Password. Or none.
	CredentialsFile string
	NKeyFile        string
	User, Password  string
	// TLS settings for tls:// URLs; default the system's roots.
	TLS *tls.Config
	// Name of the connection, as the server lists it.
	Name string
	// Executor is the id of the executor whose connection this is; empty for a
	// gateway. It sets the prefix of the inboxes that its permissions allow.
	Executor string
	// Replicas of every stream and bucket: 1 (default), 3 or 5.
	Replicas int
	// EventBytes bounds the stream of events; default 1 GiB.
	EventBytes int64
	// CacheAge is how long an entry of the cache is kept after it was written; default 30 days.
	CacheAge time.Duration
	// Synced is set by who started the server with sync_interval always, and
	// spares the warning that the server cannot be asked.
	Synced bool
	Log    *slog.Logger
}

func (c Config) withDefaults() Config {
	if c.Replicas == 0 {
		c.Replicas = 1
	}
	if c.EventBytes == 0 {
		c.EventBytes = 1 << 30
	}
	if c.CacheAge == 0 {
		c.CacheAge = 30 * 24 * time.Hour
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return c
}

// Queue is a connection to the queue. All methods are safe for concurrent use.
type Queue struct {
	cfg   Config
	log   *slog.Logger
	nc    *nats.Conn
	js    jetstream.JetStream
	epoch atomic.Uint64
	deaf  deaf
	live  liveFeeds
	// keeper is for the stream of offers.
	keeper fileKeeper
	// Jobs, Pools, Execs and Tokens are the buckets of job records, pools,
	// executors and access tokens.
	Jobs, Pools, Execs, Tokens *Bucket
	// Cache is the bucket of the results that may be given again.
	Cache *Bucket
	// Webhooks and Deliveries are those of tenants' webhooks. An entry of
	// Deliveries is gone [DeliveryAge] after it was last written.
	Webhooks, Deliveries *Bucket
	// Campaigns holds tenants' campaigns.
	Campaigns *Bucket
	// Sweep holds who sweeps the object store now, and what the last sweep measured.
	Sweep *Bucket
	// History holds the records of jobs that ended some time ago, by the page.
	History *Bucket
}

// requestTimeout bounds every request to the server that has no earlier deadline.
const requestTimeout = 10 * time.Second

// Connect returns once the server has been reached; until then it tries again,
// with growing pauses, and says so in one line. It fails when ctx ends, and at
// once when NKeyFile holds no key.
func Connect(ctx context.Context, cfg Config) (*Queue, error) {
	cfg = cfg.withDefaults()
	q := &Queue{cfg: cfg, log: cfg.Log}
	if err := q.dial(ctx); err != nil {
		return nil, err
	}
	js, err := jetstream.New(q.nc, jetstream.WithDefaultTimeout(requestTimeout))
	if err != nil {
		q.nc.Close()
		return nil, fmt.Errorf("connect to NATS: %w", err)
	}
	q.js = js
	q.Jobs, q.Pools, q.Execs = newBucket(q, bucketJobs), newBucket(q, bucketPools), newBucket(q, bucketExecs)
	q.Tokens = newBucket(q, bucketTokens)
	q.Webhooks, q.Deliveries = newBucket(q, bucketWebhooks), newBucket(q, bucketDeliveries)
	q.Cache = newBucket(q, bucketCache)
	q.Campaigns = newBucket(q, bucketCampaigns)
	q.Sweep = newBucket(q, bucketSweep)
	q.History = newBucket(q, bucketHistory)
	if cfg.Replicas == 1 {
		q.Jobs.gather = &gatherer{batch: q.Jobs.publishSwiftly}
	}
	return q, nil
}

const (
	firstPause = 100 * time.Millisecond
	longPause  = 5 * time.Second
	// remindEvery repeats the line about an unreachable server.
	remindEvery = time.Minute
)

func (q *Queue) dial(ctx context.Context) error {
	options, err := q.options()
	if err != nil {
		return err
	}
	var told time.Time
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		nc, err := nats.Connect(q.cfg.URL, options...)
		if err == nil {
			q.nc = nc
			q.epoch.Add(1)
			if !told.IsZero() {
				q.log.Info("NATS reached", "url", q.where())
			}
			return nil
		}
		if time.Since(told) >= remindEvery {
			q.log.Warn("NATS cannot be reached; trying again until it can", "url", q.where(), "err", err)
			told = time.Now()
		}
		if !sleep(ctx, pause) {
			return fmt.Errorf("connect to NATS at %s: %w", q.where(), errors.Join(context.Cause(ctx), err))
		}
	}
}

func (q *Queue) options() ([]nats.Option, error) {
	o := []nats.Option{
		nats.Name(q.cfg.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(firstPause),
		nats.ReconnectJitter(firstPause, longPause/10),
		// What was not sent must fail now: a claim or a result that leaves a
		// buffer minutes later helps nobody.
		nats.ReconnectBufSize(-1),
		// A wrong password may be put right in the server's configuration.
		nats.IgnoreAuthErrorAbort(),
		nats.DisconnectErrHandler(q.disconnected),
		nats.ReconnectHandler(q.reconnected),
		nats.ErrorHandler(q.asyncError),
	}
	if q.cfg.Executor != "" {
		o = append(o, nats.CustomInboxPrefix(inboxPrefix(q.cfg.Executor)))
	}
	if q.cfg.Server != nil {
		o = append(o, nats.InProcessServer(q.cfg.Server))
	}
	if q.cfg.TLS != nil {
		o = append(o, nats.Secure(q.cfg.TLS))
	}
	switch {
	case q.cfg.CredentialsFile != "":
		o = append(o, nats.UserCredentials(q.cfg.CredentialsFile))
	case q.cfg.NKeyFile != "":
		key, err := nats.NkeyOptionFromSeed(q.cfg.NKeyFile)
		if err != nil {
			return nil, fmt.Errorf("read the seed of an nkey in %s: %w", q.cfg.NKeyFile, err)
		}
		o = append(o, key)
	case q.cfg.User != "":
		o = append(o, nats.UserInfo(q.cfg.User, q.cfg.Password))
	}
	return o, nil
}

func (q *Queue) disconnected(_ *nats.Conn, err error) {
	if err != nil {
		q.log.Warn("NATS connection lost; reconnecting until it is back", "url", q.where(), "err", err)
	}
}

func (q *Queue) reconnected(*nats.Conn) {
	q.epoch.Add(1)
	q.log.Info("NATS connection is back", "url", q.where())
}

func (q *Queue) asyncError(_ *nats.Conn, sub *nats.Subscription, err error) {
	if sub != nil && errors.Is(err, nats.ErrSlowConsumer) {
		// Only followers of live output are bounded; they ask for what they missed.
		q.log.Debug("messages dropped", "subject", sub.Subject)
		return
	}
	q.log.Warn("NATS reports an error", "err", err)
}

// where names the server for logs: a URL may hold a password.
func (q *Queue) where() string {
	if q.cfg.Server != nil {
		return "(embedded)"
	}
	return redactURL(q.cfg.URL)
}

// Healthy tells why the queue cannot be used now, or nil.
func (q *Queue) Healthy() error {
	if s := q.nc.Status(); s != nats.CONNECTED {
		return fmt.Errorf("NATS connection is %s", s)
	}
	return nil
}

// Epoch counts connections: two equal answers with Healthy in between mean
// that the connection may have been up all the time, unequal ones that it was not.
func (q *Queue) Epoch() uint64 { return q.epoch.Load() }

// RoundTrip measures the way to the server and back.
func (q *Queue) RoundTrip() (time.Duration, error) { return q.nc.RTT() }

// ServerURL is that of the server that it is connected to now, without credentials.
func (q *Queue) ServerURL() string { return redactURL(q.nc.ConnectedUrl()) }

// Close ends the connection. What runs on it fails.
func (q *Queue) Close() { q.nc.Close() }
