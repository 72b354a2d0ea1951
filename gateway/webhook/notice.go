package webhook

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

const (
	// lookBack is how long ago a job may have ended whose delivery is yet to be
	// made: longer than all gateways are ever down. Deliveries are kept for longer, or they would be made again.
	lookBack = 4 * 24 * time.Hour
	// otherGateway is how long the gateway that ended a job has to make its deliveries before others do.
	otherGateway = 3 * time.Second
	// settled is how long ago a job must have ended for its webhooks to be known here for sure.
	settled = time.Minute
)

// maxRecent bounds the ends that are looked at a moment later; of more than that the
// records are read again.
const maxRecent = 20_000

// Ended takes note of a terminal record and its revision: here if this gateway ended
// the job. It never waits, and may be told of an end any number of times.
func (o *Outbox) Ended(rec schemas.Record, rev uint64, here bool) {
	now := o.clock.Now()
	age := now.Sub(time.UnixMicro(rec.EndedUS))
	if age > lookBack {
		return
	}
	select {
	case <-o.known:
	default:
		o.later(recentEnd{essence(&rec), rev, now})
		return
	}
	switch {
	case here:
		o.notify(essence(&rec), rev)
	case age < settled || len(o.registry.targets(&rec)) > 0:
		o.later(recentEnd{essence(&rec), rev, now.Add(otherGateway)})
	}
}

func (o *Outbox) later(e recentEnd) {
	if !o.recent.add(e) {
		o.backlog.lag(e.rec.Tenant, e.rev)
	}
}

// essence is what a delivery is made of: ends may have to be remembered by the
// hundred thousand, and a whole record has kilobytes.
func essence(rec *schemas.Record) *schemas.Record {
	short := &schemas.Record{
		ID: rec.ID, Tenant: rec.Tenant, State: rec.State, EndedUS: rec.EndedUS, Labels: rec.Labels, Callback: rec.Callback,
	}
	if o := rec.Outcome; o != nil {
		short.Outcome = &schemas.Outcome{ExitCode: o.ExitCode, Signal: o.Signal, Limit: o.Limit}
	}
	if rec.Archive != nil {
		short.Archive = &schemas.Object{}
	}
	return short
}

// notify puts into the backlog what is not known to have been created; false if it had no room.
func (o *Outbox) notify(rec *schemas.Record, rev uint64) (taken bool) {
	taken = true
	for _, target := range o.registry.targets(rec) {
		if n := (notice{rec, rev, target}); !o.book.knows(n.key()) {
			taken = o.backlog.add(n) && taken
		}
	}
	return taken
}

// recent are ends that are looked at a moment later, in the order in which they came.
type recent struct {
	mu   sync.Mutex
	ends []recentEnd
}

type recentEnd struct {
	rec *schemas.Record
	rev uint64
	at  time.Time
}

// add is false if there is no room.
func (r *recent) add(e recentEnd) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.ends) >= maxRecent {
		return false
	}
	r.ends = append(r.ends, e)
	return true
}

// due are those whose moment has come.
func (r *recent) due(now time.Time) []recentEnd {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := 0
	for n < len(r.ends) && !r.ends[n].at.After(now) {
		n++
	}
	due := r.ends[:n:n]
	if r.ends = r.ends[n:]; len(r.ends) == 0 {
		r.ends = nil
	}
	return due
}

const lookEvery = 500 * time.Millisecond

// look takes up recent ends whose deliveries may have been made meanwhile.
func (o *Outbox) look(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-o.both:
	}
	for {
		for _, end := range o.recent.due(o.clock.Now()) {
			o.notify(end.rec, end.rev)
		}
		if !o.wait(ctx, lookEvery) {
			return nil
		}
	}
}

// create makes deliveries of notices until ctx ends.
func (o *Outbox) create(ctx context.Context) error {
	for {
		n, ok := o.backlog.take(ctx, func(tenant string) bool { return o.book.room(tenant, o.cfg.MaxPending) })
		if !ok {
			return nil
		}
		err := o.createOne(ctx, n)
		if err != nil && !errors.Is(err, jobqueue.ErrConflict) && ctx.Err() == nil {
			o.log.Warn("delivery not created yet", "job", n.rec.ID, "tenant", n.rec.Tenant, "err", err)
			o.backlog.add(n)
			sleep(ctx, time.Second)
		}
	}
}

// createOne makes a delivery that this gateway sends at once; [jobqueue.ErrConflict] if it is there.
func (o *Outbox) createOne(ctx context.Context, n notice) error {
	if o.book.knows(n.key()) {
		return nil
	}
	address := n.rec.Callback
	if n.target != "" {
		e, ok := o.registry.lookup(n.rec.Tenant, n.target)
		if !ok {
			return nil // removed meanwhile
		}
		address = e.Webhook.URL
	}
	now := o.clock.Now()
	d := delivery{Version: entryVersion, Tenant: n.rec.Tenant, RoundUS: now.UnixMicro(), Delivery: schemas.Delivery{
		ID: n.id(), Webhook: n.target, URL: address, Job: n.rec.ID, Event: schemas.JobEvent(n.rec.State),
		CreatedUS: now.UnixMicro(), Payload: payload(n.rec, o.cfg.PublicURL),
	}}
	d.schedule(o.id, now, o.cfg.Timeout)
	return o.store(ctx, d)
}

func (o *Outbox) store(ctx context.Context, d delivery) error {
	data, err := encode(d)
	if err != nil {
		return fmt.Errorf("encode delivery %s: %w", d.Delivery.ID, err)
	}
	rev, err := o.cfg.Queue.Deliveries.Create(ctx, d.key(), data)
	if err == nil {
		o.book.learn(d, rev, o.clock.Now())
	}
	return err
}
