package webhook

import (
	"context"
	"crypto/rand"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/turns"
)

// Outbox of one gateway. All methods are safe for concurrent use; what was
// heard of is sent while Run does.
type Outbox struct {
	cfg        Config
	clock      Clock
	log        *slog.Logger
	id         string // of this process, as holder of deliveries
	agent      string
	guard      *guard
	transports map[string]http.RoundTripper // by scheme
	registry   *registry
	book       *book
	backlog    *backlog
	recent     *recent
	slots      *turns.Turns
	metrics    *metrics
	// known is closed when all webhooks are, both when all deliveries are, too.
	known, both chan struct{}
	// sureUS is as of when all webhooks are known for sure.
	sureUS atomic.Int64
	// creating has the turns of those who make a webhook, one of each tenant.
	creating *turns.Turns
	// begun has lanes that nobody drives yet.
	mu    sync.Mutex
	begun []*lane
	begin chan struct{}
	// sends are requests under way.
	sends sync.WaitGroup
}

// New checks the configuration. It does not touch the queue.
func New(cfg Config) (*Outbox, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	g := newGuard(cfg.Allow, cfg.Deny)
	o := &Outbox{
		cfg: cfg, clock: cfg.Clock, log: cfg.Log, id: rand.Text(), agent: strings.TrimSuffix("ProgramExplorer/"+cfg.Version, "/"),
		guard: g, transports: map[string]http.RoundTripper{"https": g.roundTripper("https", cfg), "http": g.roundTripper("http", cfg)},
		recent: &recent{}, slots: turns.New(int64(cfg.PerTenant), int64(cfg.Overall)),
		creating: turns.New(1, turns.Unbounded),
		known:    make(chan struct{}), both: make(chan struct{}), begin: make(chan struct{}, 1),
	}
	o.backlog = newBacklog(cfg.MaxBacklog, func(r receiver) int { return o.book.mayGet(r) })
	o.book = newBook(o.id, cfg.MaxPending, cfg.MaxKept, o.backlog.wake, o.beginLane)
	o.registry = newRegistry(cfg.Queue.Webhooks, func(tenant, id string) { o.book.calm(receiverOf(tenant, id, "")) })
	if o.metrics, err = newMetrics(cfg.Metrics, o); err != nil {
		return nil, err
	}
	return o, nil
}

// Known is closed when all webhooks are known that there were at the start: ends
// that are heard of before have to be remembered.
func (o *Outbox) Known() <-chan struct{} { return o.known }

const (
	creators    = 4 // deliveries that are created at once
	expireEvery = time.Hour
)

// Run sends until ctx ends, and returns when all that it started has stopped, and
// what it was to send is other gateways' to send; requests under way get
// [Config.Grace]. It is called once.
func (o *Outbox) Run(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return o.watchWebhooks(ctx) })
	group.Go(func() error { return o.watchDeliveries(ctx) })
	group.Go(func() error { return o.look(ctx) })
	group.Go(func() error { return o.catchUp(ctx) })
	for range creators {
		group.Go(func() error { return o.create(ctx) })
	}
	group.Go(func() error { return o.driveAll(ctx, group) })
	group.Go(func() error { return o.expireEvery(ctx) })
	err := group.Wait()
	o.sends.Wait()
	o.handOver(ctx)
	for _, t := range o.transports {
		t.(*http.Transport).CloseIdleConnections()
	}
	return err
}

func (o *Outbox) watchWebhooks(ctx context.Context) error {
	now := o.clock.Now()
	return o.cfg.Queue.Webhooks.Watch(ctx, o.heardWebhook, func() {
		o.sureUS.Store(now.UnixMicro())
		close(o.known)
	})
}

// heardWebhook takes note of a write of any gateway.
func (o *Outbox) heardWebhook(w jobqueue.Entry) {
	defer o.registry.saw(w.Revision)
	if w.Deleted {
		o.registry.saw(w.Revision) // before: nobody who read it earlier brings it back
		o.registry.forget(w.Key, w.Revision)
		return
	}
	e, err := decodeEndpoint(w.Key, w.Value)
	if err != nil {
		o.log.Error("webhook skipped", "err", err)
		return
	}
	o.registry.learn(e, w.Revision)
}

// watchDeliveries begins when all webhooks are known: so whoever knows of a
// delivery knows its webhook.
func (o *Outbox) watchDeliveries(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-o.known:
	}
	each := func(e jobqueue.Entry) {
		if e.Deleted {
			o.book.forget(e.Key)
			return
		}
		d, err := decodeDelivery(e.Key, e.Value)
		if err != nil {
			o.log.Error("delivery skipped", "err", err)
			return
		}
		o.book.learn(d, e.Revision, o.clock.Now())
	}
	return o.cfg.Queue.Deliveries.Watch(ctx, each, func() { o.book.sortAll(); close(o.both) })
}

func (o *Outbox) expireEvery(ctx context.Context) error {
	for o.wait(ctx, expireEvery) {
		o.book.expire(o.clock.Now())
	}
	return nil
}

// wait lets time pass; false when ctx has ended.
func (o *Outbox) wait(ctx context.Context, d time.Duration) bool {
	come, stop := o.clock.At(o.clock.Now().Add(d))
	defer stop()
	select {
	case <-ctx.Done():
		return false
	case <-come:
		return true
	}
}

// beginLane has somebody drive a lane; the book calls it, and must not wait.
func (o *Outbox) beginLane(l *lane) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.begun = append(o.begun, l)
	select {
	case o.begin <- struct{}{}:
	default:
	}
}

func (o *Outbox) driveAll(ctx context.Context, group *errgroup.Group) error {
	select {
	case <-ctx.Done():
		return nil
	case <-o.both:
	}
	for {
		o.mu.Lock()
		fresh := o.begun
		o.begun = nil
		o.mu.Unlock()
		for _, l := range fresh {
			group.Go(func() error { o.drive(ctx, l); return nil })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-o.begin:
		}
	}
}

// sleep is real time: it spares a server, and orders nothing.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
