package webhook

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// drive sends what waits in a lane, until nothing is left there or ctx ends.
func (o *Outbox) drive(ctx context.Context, l *lane) {
	for {
		it, at, over := o.book.take(l, o.clock.Now(), o.cfg.PerWebhook)
		switch {
		case over:
			return
		case it == nil && !o.rest(ctx, l, at):
			return
		case it == nil:
			continue
		}
		release, err := o.slots.Take(ctx, l.to.tenant)
		if err != nil {
			o.book.put(l, it, time.Time{})
			return
		}
		o.sends.Go(func() {
			defer release()
			o.book.put(l, it, o.send(ctx, l, it))
		})
	}
}

// rest waits until the lane is woken, or until an instant that is not zero; false when ctx has ended.
func (o *Outbox) rest(ctx context.Context, l *lane, at time.Time) bool {
	var come <-chan time.Time
	if !at.IsZero() {
		timer, stop := o.clock.At(at)
		defer stop()
		come = timer
	}
	select {
	case <-ctx.Done():
		return false
	case <-l.woken:
	case <-come:
	}
	return true
}

// afterTrouble is when to try again what failed on our side.
const afterTrouble = 5 * time.Second

// send sends a delivery once and writes what became of it. It returns when, at
// the earliest, this gateway should look at it again.
func (o *Outbox) send(ctx context.Context, l *lane, it *item) time.Time {
	d, rev, ok := o.book.held(it)
	if !ok {
		return time.Time{}
	}
	log := o.log.With("delivery", d.Delivery.ID, "webhook", d.Delivery.Webhook, "of", d.Delivery.Payload.Data.ID, "tenant", d.Tenant)
	ctx, cancel := outlive(ctx, o.cfg.Grace)
	defer cancel()
	rev, err := o.hold(ctx, &d, rev)
	if err == nil {
		err = o.deliver(ctx, l, d, rev)
	}
	switch {
	case err == nil:
		return time.Time{}
	case errors.Is(err, jobqueue.ErrConflict):
		// Somebody else wrote it, and the watch tells what.
		log.Debug("delivery was written by another", "err", err)
	case ctx.Err() == nil:
		log.Warn("delivery is in trouble", "err", err)
	}
	return o.clock.Now().Add(afterTrouble)
}

// outlive lets what is under way end when the outbox stops, for a while.
func outlive(ctx context.Context, by time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(by, cancel) })
	return longer, func() { stop(); cancel() }
}

// hold makes this gateway the holder, unless it is and will be for as long as a request may take.
func (o *Outbox) hold(ctx context.Context, d *delivery, rev uint64) (uint64, error) {
	now := o.clock.Now()
	if d.Holder == o.id && now.Add(o.cfg.Timeout).UnixMicro() < d.UntilUS {
		return rev, nil
	}
	d.schedule(o.id, now, o.cfg.Timeout)
	return o.write(ctx, *d, rev)
}

// deliver sends a held delivery and writes the outcome.
func (o *Outbox) deliver(ctx context.Context, l *lane, d delivery, rev uint64) error {
	address, keys, why, err := o.target(ctx, &d)
	if err != nil {
		return err
	}
	now := o.clock.Now()
	if late := now.Sub(time.UnixMicro(d.RoundUS)); why == "" && late > lifetime {
		why = fmt.Sprintf("given up %s after the event", late.Round(time.Hour))
	}
	if why != "" {
		d.end(schemas.DeliveryFailed, why)
		o.metrics.attempts.WithLabelValues(outcomeDropped).Inc()
		_, err := o.write(ctx, d, rev)
		return err
	}
	a, err := o.post(ctx, &d.Delivery, address, keys)
	if err != nil {
		return err
	}
	d.Delivery.URL = address
	o.settle(&d, a)
	o.judge(l, &d, a)
	return errors.Join(o.conclude(ctx, d, rev), o.health(ctx, &d, a))
}

// target is where a delivery goes, and what signs it; why says that it goes nowhere.
func (o *Outbox) target(ctx context.Context, d *delivery) (address string, keys secrets, why string, err error) {
	e, ok := o.registry.lookup(d.Tenant, d.Delivery.Webhook)
	if d.Delivery.Webhook == "" {
		if !ok {
			e, err = o.callbacks(ctx, d.Tenant)
		}
		return d.Delivery.URL, e.Secrets, "", err
	}
	if !ok || !e.Webhook.Enabled {
		// What is known here may be old, and giving up is for good.
		if e, _, err = o.registry.read(ctx, d.Tenant, d.Delivery.Webhook); errors.Is(err, ErrNotFound) {
			return "", nil, "the webhook was removed", nil
		}
		if err == nil && !e.Webhook.Enabled {
			why = "the webhook is disabled"
		}
	}
	return e.Webhook.URL, e.Secrets, why, err
}

// settle writes into a delivery what became of an attempt.
func (o *Outbox) settle(d *delivery, a answer) {
	d.Delivery.Attempts++
	d.Delivery.Last = &a.DeliveryAttempt
	outcome := outcomeFailed
	switch at, again := next(o.cfg.Schedule, d.Delivery.Attempts, o.clock.Now(), a.retryAfter, rand.Float64()); {
	case a.delivered():
		outcome = outcomeDelivered
		d.end(schemas.DeliveryDelivered, "")
	case a.Status == http.StatusGone:
		d.end(schemas.DeliveryFailed, gone)
	case !again:
		d.end(schemas.DeliveryFailed, fmt.Sprintf("given up after %d attempts", d.Delivery.Attempts))
	default:
		outcome = outcomeRetried
		d.schedule(o.id, at, o.cfg.Timeout)
	}
	o.metrics.attempts.WithLabelValues(outcome).Inc()
}

const gone = "the receiver answered 410 Gone"

// judge tells the lane's breaker. A receiver that says when to come back is not sent anything before.
func (o *Outbox) judge(l *lane, d *delivery, a answer) {
	now := o.clock.Now()
	o.book.judge(l, func(b *breaker) {
		if a.delivered() {
			b.succeeded()
			return
		}
		b.failed(now)
		if a.Status == http.StatusTooManyRequests || a.Status == http.StatusServiceUnavailable {
			b.hold(now.Add(a.retryAfter))
		}
	})
	if !a.delivered() {
		o.log.Debug("delivery failed", "delivery", d.Delivery.ID, "attempt", d.Delivery.Attempts, "status", a.Status, "err", a.Error)
	}
}

// health keeps book of how a webhook does, and disables one that is gone or has
// failed for days. It writes only when that changes.
func (o *Outbox) health(ctx context.Context, d *delivery, a answer) error {
	e, ok := o.registry.lookup(d.Tenant, d.Delivery.Webhook)
	if d.Delivery.Webhook == "" || !ok || a.delivered() && e.Webhook.FailingUS == 0 {
		return nil
	}
	now := o.clock.Now()
	if !e.judge(a, d.Delivery.URL, now) {
		return nil
	}
	e, err := o.registry.change(ctx, d.Tenant, d.Delivery.Webhook, func(e *endpoint) bool { return e.judge(a, d.Delivery.URL, now) })
	if err == nil && !e.Webhook.Enabled && e.Webhook.Disabled != "" {
		o.log.Warn("webhook disabled", "tenant", d.Tenant, "webhook", e.Webhook.ID, "reason", e.Webhook.Disabled)
	}
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return err
}

// judge reports whether an answer from the address changes anything.
func (e *endpoint) judge(a answer, address string, now time.Time) bool {
	w := &e.Webhook
	since := time.UnixMicro(w.FailingUS)
	switch {
	case !w.Enabled || w.URL != address:
		return false
	case a.delivered():
		changed := w.FailingUS != 0
		w.FailingUS = 0
		return changed
	case a.Status == http.StatusGone:
		w.Enabled, w.Disabled = false, gone
	case w.FailingUS == 0:
		w.FailingUS = now.UnixMicro()
	case now.Sub(since) > disableAfter:
		w.Enabled, w.Disabled = false, fmt.Sprintf("every delivery has failed since %s", since.UTC().Format(time.DateTime+" UTC"))
	default:
		return false
	}
	return true
}

// write updates a delivery, or makes it if the revision is 0, and takes note of it.
func (o *Outbox) write(ctx context.Context, d delivery, rev uint64) (uint64, error) {
	data, err := encode(d)
	if err != nil {
		return 0, fmt.Errorf("encode delivery %s: %w", d.Delivery.ID, err)
	}
	if bucket := o.cfg.Queue.Deliveries; d.keep() < jobqueue.DeliveryAge {
		rev, err = bucket.UpdateFor(ctx, d.key(), data, rev, d.keep())
	} else {
		rev, err = bucket.Update(ctx, d.key(), data, rev)
	}
	if err == nil {
		o.book.learn(d, rev, o.clock.Now())
	}
	return rev, err
}

// conclude writes an outcome, and tries more than once: what was delivered and
// not written down is sent again.
func (o *Outbox) conclude(ctx context.Context, d delivery, rev uint64) error {
	var err error
	for range 5 {
		if _, err = o.write(ctx, d, rev); err == nil || errors.Is(err, jobqueue.ErrConflict) || !sleep(ctx, time.Second) {
			break
		}
	}
	return err
}
