package webhook

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

const tenant = "local"

// world is a real NATS server and a clock that its outboxes share.
type world struct {
	testing.TB
	server *queuetest.Server
	clock  *fakeClock
	log    *slog.Logger
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{
		TB: t, server: queuetest.Start(t), clock: &fakeClock{now: time.Date(2026, 11, 28, 12, 0, 0, 0, time.UTC)},
		log: slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
}

var loopback = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}

// box is an outbox that runs.
type box struct {
	*Outbox
	stop func()
}

// idle: no end is yet to be looked at.
func (o *Outbox) idle() bool {
	notices, behind := o.backlog.size()
	return notices+behind == 0
}

// Ended tells of an end whose record nobody will have to read again.
func (b *box) Ended(rec schemas.Record, here bool) { b.Outbox.Ended(rec, 1, here) }

func (w *world) box(change func(*Config)) *box {
	w.Helper()
	cfg := Config{Queue: w.server.Gateway(w, w.log), Allow: loopback, Clock: w.clock, Log: w.log, Timeout: 5 * time.Second, PublicURL: "https://pe.example.org/"}
	if change != nil {
		change(&cfg)
	}
	o, err := New(cfg)
	if err != nil {
		w.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() {
		if err := o.Run(ctx); err != nil {
			w.Errorf("Run: %v", err)
		}
	})
	b := &box{Outbox: o, stop: sync.OnceFunc(func() { cancel(); running.Wait() })}
	w.Cleanup(b.stop)
	<-o.both
	return b
}

// eventually waits for what nothing tells of. The clock ticks meanwhile, for
// what is begun at intervals, but no more than a second in all.
func (w *world) eventually(what string, ok func() bool) {
	w.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for ticks := 0; !ok(); ticks++ {
		if time.Now().After(deadline) {
			w.Fatalf("never: %s", what)
		}
		if ticks < 10 {
			w.clock.advance(100 * time.Millisecond)
		}
		time.Sleep(3 * time.Millisecond)
	}
}

// ended is the record of a job that ends now.
func (w *world) ended(state schemas.State, change func(*schemas.Record)) schemas.Record {
	w.Helper()
	now := w.clock.Now()
	id, err := schemas.NewJobID(now, rand.Reader)
	if err != nil {
		w.Fatal(err)
	}
	code := 3
	rec := schemas.Record{ID: id, Tenant: tenant, State: state, EndedUS: now.UnixMicro(), Outcome: &schemas.Outcome{ExitCode: &code}, Archive: &schemas.Object{}}
	if change != nil {
		change(&rec)
	}
	return rec
}

func (w *world) hook(b *box, spec schemas.WebhookSpec) schemas.Webhook {
	w.Helper()
	hook, err := b.Create(w.Context(), tenant, spec)
	if err != nil {
		w.Fatal(err)
	}
	return hook
}

// delivery is a job's delivery as the bucket has it.
func (w *world) delivery(b *box, rec schemas.Record, target string) schemas.Delivery {
	w.Helper()
	d, _, err := b.read(w.Context(), schemas.RecordKey(rec.Tenant, notice{jobEnding(&rec, 1), target}.id()))
	if err != nil {
		return schemas.Delivery{}
	}
	return d.Delivery
}

// settled waits until a delivery has been sent so often, or has ended.
func (w *world) settled(b *box, rec schemas.Record, target string, attempts int) (d schemas.Delivery) {
	w.Helper()
	w.eventually("the delivery is settled", func() bool {
		d = w.delivery(b, rec, target)
		return d.ID != "" && d.Attempts >= attempts && (d.State != schemas.DeliveryPending || d.NextUS > w.clock.Now().UnixMicro())
	})
	return d
}

// receiver is an address that is told.
type server struct {
	*httptest.Server
	mu     sync.Mutex
	got    []request
	answer http.HandlerFunc
}

type request struct {
	header http.Header
	path   string
	body   []byte
	event  schemas.WebhookEvent
	// taken: it is answered by who takes everything.
	taken bool
}

func (r request) id() string { return r.header.Get(headerID) }

func (w *world) receiver(answer http.HandlerFunc) *server {
	w.Helper()
	r := &server{answer: answer}
	r.Server = httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		one := request{header: req.Header.Clone(), path: req.URL.RequestURI()}
		one.body, _ = io.ReadAll(req.Body)
		if err := json.Unmarshal(one.body, &one.event); err != nil || req.Method != http.MethodPost {
			w.Errorf("%s with a body that is %v", req.Method, err)
		}
		r.mu.Lock()
		answer := r.answer
		one.taken = answer == nil
		r.got = append(r.got, one)
		r.mu.Unlock()
		if answer != nil {
			answer(rw, req)
		}
	}))
	w.Cleanup(r.Close)
	return r
}

func (r *server) answers(answer http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.answer = answer
}

func (r *server) requests() []request {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got)
}

// told are the ids of what it took.
func (r *server) told() map[string]bool {
	told := map[string]bool{}
	for _, one := range r.requests() {
		if one.taken {
			told[one.id()] = true
		}
	}
	return told
}

// allTold waits until a receiver has taken so many events, whatever the clock says then.
func (w *world) allTold(r *server, n int) {
	w.Helper()
	w.inTime(fmt.Sprintf("%d events are taken", n), func() bool { return len(r.told()) >= n })
}

// inTime waits for what may take several readings of records.
func (w *world) inTime(what string, ok func() bool) {
	w.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(3 * time.Millisecond) {
		if time.Now().After(deadline) {
			w.Fatalf("never: %s", what)
		}
		w.clock.advance(20 * time.Millisecond)
	}
}

// allAsked waits until a receiver has had so many requests, whatever the clock says then.
func (w *world) allAsked(r *server, n int) {
	w.Helper()
	w.inTime(fmt.Sprintf("%d requests", n), func() bool { return len(r.requests()) >= n })
}

// waitFor answers once a channel is closed, or the client leaves.
func waitFor(block <-chan struct{}) http.HandlerFunc {
	return func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-block:
		case <-r.Context().Done():
		}
	}
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// verify checks a request with the official library; times are the fake clock's.
func (w *world) verify(r request, secret string) {
	w.Helper()
	hook, err := standardwebhooks.NewWebhook(secret)
	if err == nil {
		err = hook.VerifyIgnoringTimestamp(r.body, r.header)
	}
	if err != nil {
		w.Errorf("verify: %v", err)
	}
}

// fakeClock stands still until it is told.
type fakeClock struct {
	mu     sync.Mutex
	now    time.Time
	timers []*fakeTimer
}

type fakeTimer struct {
	at   time.Time
	come chan time.Time
}

func (c *fakeClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) At(t time.Time) (<-chan time.Time, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	timer := &fakeTimer{at: t, come: make(chan time.Time, 1)}
	c.timers = append(c.timers, timer)
	c.fire()
	return timer.come, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.timers = slices.DeleteFunc(c.timers, func(x *fakeTimer) bool { return x == timer })
	}
}

func (c *fakeClock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
	c.fire()
}

// to moves the clock on to an instant, unless that has passed.
func (c *fakeClock) to(us int64) {
	if d := time.UnixMicro(us).Sub(c.Now()); d > 0 {
		c.advance(d)
	}
}

func (c *fakeClock) fire() {
	c.timers = slices.DeleteFunc(c.timers, func(t *fakeTimer) bool {
		if t.at.After(c.now) {
			return false
		}
		t.come <- c.now
		return true
	})
}
