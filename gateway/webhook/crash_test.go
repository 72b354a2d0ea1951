package webhook

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// TestTwoGatewaysSendOnce: each hears of every end, as gateways do, and nobody dies.
func TestTwoGatewaysSendOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	one, two := w.box(nil), w.box(nil)
	hook := w.hook(one, schemas.WebhookSpec{URL: r.URL})
	w.eventually("the other gateway knows", func() bool { return len(two.List(tenant)) == 1 })
	const jobs = 50
	for i := range jobs {
		rec := w.ended(schemas.StateSucceeded, nil)
		one.Ended(rec, i%2 == 0)
		two.Ended(rec, i%2 == 1)
		one.Ended(rec, false)
		two.Ended(rec, false)
	}
	all := func() bool { return len(r.requests()) >= jobs }
	w.eventually("everything is told", all)
	w.clock.advance(otherGateway + time.Second)
	for _, b := range []*box{one, two} {
		w.eventually("nothing is left to look at", func() bool { n, _ := b.book.onTheirWay(); return b.idle() && n == 0 })
	}
	told := map[string]int{}
	for _, one := range r.requests() {
		told[one.id()]++
		w.verify(one, hook.Secret)
	}
	if len(told) != jobs || len(r.requests()) != jobs {
		t.Errorf("%d events, %d requests for %d jobs", len(told), len(r.requests()), jobs)
	}
}

// TestCrashBetweenEndAndDelivery: the record is all that there is. Whoever
// starts next, or has run all along, makes what is missing, and once.
func TestCrashBetweenEndAndDelivery(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	first := w.box(nil)
	hook := w.hook(first, schemas.WebhookSpec{URL: r.URL})
	first.stop()
	rec := w.ended(schemas.StateFailed, nil)
	w.clock.advance(24 * time.Hour)
	second := w.box(nil)
	second.Ended(rec, false)
	w.clock.advance(otherGateway + time.Second)
	w.settled(second, rec, hook.ID, 1)
	second.stop()
	third := w.box(nil)
	third.Ended(rec, false)
	w.clock.advance(time.Minute)
	w.eventually("it is looked at", func() bool {
		third.recent.mu.Lock()
		defer third.recent.mu.Unlock()
		return len(third.recent.ends) == 0
	})
	old := w.ended(schemas.StateFailed, func(r *schemas.Record) { r.EndedUS = w.clock.Now().Add(-lookBack - time.Minute).UnixMicro() })
	third.Ended(old, true)
	later := w.ended(schemas.StateFailed, nil)
	third.Ended(later, true)
	w.settled(third, later, hook.ID, 1)
	if got := r.requests(); len(got) != 2 || got[1].event.Data.ID != later.ID {
		t.Errorf("%d requests", len(got))
	}
}

// TestHolderDies in the middle of sending: another gateway sends it again, under the same id.
func TestHolderDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, goOn := make(chan struct{}, 10), make(chan struct{})
	r := w.receiver(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-goOn:
		case <-r.Context().Done():
		}
	})
	dies := w.box(func(c *Config) { c.Grace = time.Millisecond })
	hook := w.hook(dies, schemas.WebhookSpec{URL: r.URL})
	other := w.box(nil)
	rec := w.ended(schemas.StateSucceeded, nil)
	dies.Ended(rec, true)
	<-asked
	dies.cfg.Queue.Close() // so that it cannot hand anything over
	dies.stop()
	close(goOn)
	if d := w.delivery(other, rec, hook.ID); d.State != schemas.DeliveryPending || d.Attempts != 0 {
		t.Fatalf("%+v", d)
	}
	w.eventually("the other gateway knows of it", func() bool {
		return other.book.knows(schemas.RecordKey(tenant, notice{jobEnding(&rec, 1), hook.ID}.id()))
	})
	w.clock.advance(2 * time.Second)
	if n := len(r.requests()); n != 1 {
		t.Errorf("%d requests while the holder may still send", n)
	}
	w.clock.advance(time.Minute)
	if d := w.settled(other, rec, hook.ID, 1); d.State != schemas.DeliveryDelivered {
		t.Errorf("%+v", d)
	}
	if got := r.requests(); len(got) != 2 || got[0].id() != got[1].id() {
		t.Errorf("%d requests", len(got))
	}
}

// TestStopHandsOver: what a gateway has not sent when it is told to stop is sent by
// another one at once, not as late as if it had died.
func TestStopHandsOver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	block := make(chan struct{})
	r := w.receiver(waitFor(block))
	stops := w.box(func(c *Config) { c.Grace, c.PerWebhook = time.Millisecond, 1 })
	other := w.box(nil)
	hook := w.hook(stops, schemas.WebhookSpec{URL: r.URL})
	var recs []schemas.Record
	for range 5 { // one is under way, the others wait
		recs = append(recs, w.ended(schemas.StateSucceeded, nil))
		stops.Ended(recs[len(recs)-1], true)
	}
	w.eventually("all are there", func() bool { n, _ := other.book.onTheirWay(); return n == len(recs) && len(r.requests()) == 1 })
	stops.stop()
	close(block)
	for _, rec := range recs {
		if d := w.settled(other, rec, hook.ID, 1); d.State != schemas.DeliveryDelivered {
			t.Errorf("%+v", d)
		}
	}
}

// TestStopLetsRequestsEnd: what is under way when a gateway is told to stop is finished and written down.
func TestStopLetsRequestsEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	asked, goOn := make(chan struct{}, 10), make(chan struct{})
	r := w.receiver(func(http.ResponseWriter, *http.Request) { asked <- struct{}{}; <-goOn })
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	rec := w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	<-asked
	var stopping sync.WaitGroup
	stopping.Go(b.stop)
	close(goOn)
	stopping.Wait()
	if d := w.delivery(b, rec, hook.ID); d.State != schemas.DeliveryDelivered {
		t.Errorf("%+v", d)
	}
}

// TestQueueRestarts while deliveries are on their way.
func TestQueueRestarts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(status(http.StatusInternalServerError))
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	rec := w.ended(schemas.StateSucceeded, nil)
	b.Ended(rec, true)
	d := w.settled(b, rec, hook.ID, 1)
	w.server.Restart(t)
	r.answers(nil)
	w.clock.to(d.NextUS)
	w.eventually("it is sent again", func() bool { return w.delivery(b, rec, hook.ID).State == schemas.DeliveryDelivered })
}

// TestPendingIsBounded: what is too much waits in the records, and is told in the end.
func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	block := make(chan struct{})
	r := w.receiver(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-block:
		case <-r.Context().Done():
		}
	})
	quick := w.receiver(nil)
	b := w.box(func(c *Config) { c.MaxPending, c.PerTenant = 128, 2 })
	w.hook(b, schemas.WebhookSpec{URL: r.URL})
	const jobs = 30
	for range jobs {
		rec, rev := w.written(b, nil)
		b.Outbox.Ended(rec, rev, true)
	}
	w.eventually("it is full", func() bool { n, _ := b.book.onTheirWay(); return n >= 4 })
	other := w.ended(schemas.StateSucceeded, func(rec *schemas.Record) { rec.Tenant, rec.Callback = "other", quick.URL })
	b.Ended(other, true)
	w.settled(b, other, "", 1) // another tenant does not wait
	if n, _ := b.book.onTheirWay(); n > 4 {
		t.Errorf("%d are pending", n)
	}
	close(block)
	w.allAsked(r, jobs)
	w.inTime("nothing is left", func() bool { n, _ := b.book.onTheirWay(); return n == 0 && b.idle() })
	told := map[string]bool{}
	for _, one := range r.requests() {
		told[one.id()] = true
	}
	if len(told) != jobs {
		t.Errorf("%d of %d told", len(told), jobs)
	}
}

// written is the record of a job that ended, as the bucket has it.
func (w *world) written(b *box, change func(*schemas.Record)) (rec schemas.Record, rev uint64) {
	w.Helper()
	rec = w.ended(schemas.StateSucceeded, change)
	data, err := json.Marshal(rec)
	if err == nil {
		rev, err = b.cfg.Queue.Jobs.Create(w.Context(), schemas.RecordKey(rec.Tenant, rec.ID), data)
	}
	if err != nil {
		w.Fatal(err)
	}
	return rec, rev
}

// TestBacklogIsBounded: while a receiver is away, few of the ends that it is yet to be
// told of are remembered, each once. The others are read again, and told once.
func TestBacklogIsBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	block := make(chan struct{})
	r := w.receiver(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-block:
		case <-r.Context().Done():
		}
	})
	b := w.box(func(c *Config) { c.MaxPending, c.MaxBacklog = 256, 16 })
	w.hook(b, schemas.WebhookSpec{URL: r.URL})
	const jobs = 60
	for range jobs {
		rec, rev := w.written(b, nil)
		b.Outbox.Ended(rec, rev, true)
		b.Outbox.Ended(rec, rev, false)
	}
	w.clock.advance(otherGateway + time.Second)
	w.eventually("it is full", func() bool { n, _ := b.book.onTheirWay(); return n >= 8 })
	if notices, behind := b.backlog.size(); notices > 4 || behind != 1 {
		t.Errorf("%d notices are held, %d tenants are behind", notices, behind)
	}
	close(block)
	w.allAsked(r, jobs)
	w.inTime("nothing is left", func() bool { n, _ := b.book.onTheirWay(); return n == 0 && b.idle() })
	told := map[string]bool{}
	for _, one := range r.requests() {
		told[one.id()] = true
	}
	if len(told) != jobs || len(r.requests()) != jobs {
		t.Errorf("%d events in %d requests, want %d", len(told), len(r.requests()), jobs)
	}
}

// TestManyRecentEnds: of more than are remembered for a moment, the records are read.
func TestManyRecentEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	b := w.box(nil)
	hook := w.hook(b, schemas.WebhookSpec{URL: r.URL})
	for range maxRecent {
		b.recent.add(recentEnd{&ending{tenant: "other", rev: 1}, w.clock.Now().Add(time.Hour)})
	}
	rec, rev := w.written(b, nil)
	b.Outbox.Ended(rec, rev, false)
	b.recent.mu.Lock()
	if n := len(b.recent.ends); n > maxRecent {
		t.Errorf("%d ends are remembered", n)
	}
	b.recent.mu.Unlock()
	w.settled(b, rec, hook.ID, 1)
}

// TestWebhooksKnownLate: a gateway hears of an end of some time ago before it hears of the
// webhook that wants to be told, as after a broken connection, and tells it all the same.
func TestWebhooksKnownLate(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	late, other := w.box(nil), w.box(nil)
	first := w.hook(late, schemas.WebhookSpec{URL: r.URL})
	w.clock.advance(time.Hour)
	late.book.mu.Lock() // which its watch of webhooks waits for, once it hears of a change
	elsewhere := r.URL + "/elsewhere"
	if _, err := other.Update(t.Context(), tenant, first.ID, schemas.WebhookPatch{URL: &elsewhere, Events: &[]string{schemas.EventJobDead}}); err != nil {
		t.Fatal(err)
	}
	hook := w.hook(other, schemas.WebhookSpec{URL: r.URL})
	for known, _ := late.registry.lookup(tenant, first.ID); known.Webhook.URL != elsewhere; known, _ = late.registry.lookup(tenant, first.ID) {
		time.Sleep(time.Millisecond)
	}
	rec := w.ended(schemas.StateSucceeded, nil)
	w.clock.advance(time.Hour)
	late.Ended(rec, false)
	late.book.mu.Unlock()
	w.clock.advance(otherGateway + time.Second)
	w.settled(late, rec, hook.ID, 1)
}

// TestEndsBeforeTheStart are remembered until the webhooks are known.
func TestEndsBeforeTheStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	r := w.receiver(nil)
	first := w.box(nil)
	hook := w.hook(first, schemas.WebhookSpec{URL: r.URL})
	first.stop()
	o, err := New(Config{Queue: w.server.Gateway(t, w.log), Allow: loopback, Clock: w.clock, Log: w.log})
	if err != nil {
		t.Fatal(err)
	}
	rec := w.ended(schemas.StateSucceeded, nil)
	o.Ended(rec, 1, true)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	running.Go(func() { _ = o.Run(ctx) })
	defer running.Wait()
	defer cancel()
	w.settled(&box{Outbox: o}, rec, hook.ID, 1)
}
