package webhook

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

const (
	// lookBack is how long ago something may have ended whose delivery is yet to be
	// made: longer than all gateways are ever down, and than a webhook fails before it is
	// disabled, with a day to catch up. Deliveries are kept for longer, or they would be made again.
	lookBack = disableAfter + 24*time.Hour
	// otherGateway is how long the gateway that ended something has to make its deliveries before others do.
	otherGateway = 3 * time.Second
	// skew is by how much the clocks of two gateways may differ: one says when a webhook
	// was made, the other when something ended.
	skew = time.Minute
)

// maxRecent bounds the ends that are looked at a moment later; of more than that the
// records are read again.
const maxRecent = 20_000

// Ended takes note of a terminal record and its revision: here if this gateway ended
// the job. It never waits, and may be told of an end any number of times.
func (o *Outbox) Ended(rec schemas.Record, rev uint64, here bool) {
	if o.age(rec.EndedUS) <= lookBack {
		o.heard(jobEnding(&rec, rev), here)
	}
}

// CampaignEnded takes note of a campaign that has ended, as [Outbox.Ended] does of a job.
func (o *Outbox) CampaignEnded(tenant string, c schemas.Campaign, here bool) {
	if o.age(c.EndedUS) <= lookBack {
		o.heard(campaignEnding(tenant, &c), here)
	}
}

func (o *Outbox) age(endedUS int64) time.Duration { return o.clock.Now().Sub(time.UnixMicro(endedUS)) }

func (o *Outbox) heard(e *ending, here bool) {
	now := o.clock.Now()
	select {
	case <-o.known:
	default:
		o.later(recentEnd{e, now})
		return
	}
	switch {
	case here:
		o.notify(e, anybody)
	case !o.sureOf(e) || len(o.registry.targets(e)) > 0:
		o.later(recentEnd{e, now.Add(otherGateway)})
	}
}

// sureOf reports whether all webhooks are known for sure that may want to be told of an
// end. Watches of jobs and of webhooks go on independently after a connection was broken.
func (o *Outbox) sureOf(e *ending) bool {
	return time.UnixMicro(e.atUS).Add(skew).Before(time.UnixMicro(o.sureUS.Load()))
}

// makeSure asks which was the newest write of a webhook, and waits until it is known here.
func (o *Outbox) makeSure(ctx context.Context) error {
	now := o.clock.Now()
	ctx, cancel := context.WithTimeout(ctx, sureWithin)
	defer cancel()
	last, err := o.cfg.Queue.Webhooks.Last(ctx)
	if err == nil {
		err = o.registry.await(ctx, last)
	}
	if err == nil {
		o.sureUS.Store(now.UnixMicro())
	}
	return err
}

func (o *Outbox) later(e recentEnd) {
	if !o.recent.add(e) {
		o.backlog.lag(e.source(), everybody(e.tenant), e.rev)
	}
}

func anybody(receiver) bool { return true }

// notify puts into the backlog what is not known to have been created for those whom it is about.
func (o *Outbox) notify(e *ending, about func(receiver) bool) {
	for _, target := range o.registry.targets(e) {
		if n := (notice{e, target}); about(n.to()) && !o.book.knows(n.key()) {
			o.backlog.add(n)
		}
	}
}

// recent are ends that are looked at a moment later, in the order in which they came.
type recent struct {
	mu   sync.Mutex
	ends []recentEnd
}

type recentEnd struct {
	*ending
	at time.Time
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

// waits reports whether there are ends whose moment has come.
func (r *recent) waits(now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.ends) > 0 && !r.ends[0].at.After(now)
}

const (
	lookEvery = 500 * time.Millisecond
	// sureWithin is real time.
	sureWithin = 10 * time.Second
)

// look takes up recent ends whose deliveries may have been made meanwhile.
func (o *Outbox) look(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-o.both:
	}
	for {
		o.takeUp(ctx)
		if !o.wait(ctx, lookEvery) {
			return nil
		}
	}
}

func (o *Outbox) takeUp(ctx context.Context) {
	now := o.clock.Now()
	if !o.recent.waits(now) {
		return
	}
	if err := o.makeSure(ctx); err != nil {
		if ctx.Err() == nil {
			o.log.Warn("ends wait until all webhooks are known", "err", err)
		}
		return
	}
	for _, end := range o.recent.due(now) {
		o.notify(end.ending, anybody)
	}
}

// create makes deliveries of notices until ctx ends.
func (o *Outbox) create(ctx context.Context) error {
	for {
		n, ok := o.backlog.take(ctx, o.book.reserve)
		if !ok {
			return nil
		}
		err := o.createOne(ctx, n)
		o.book.release(n.to())
		if err != nil && !errors.Is(err, jobqueue.ErrConflict) && ctx.Err() == nil {
			o.log.Warn("delivery not created yet", "event", n.event, "of", n.data.ID, "tenant", n.tenant, "err", err)
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
	address := n.callback
	if n.target != "" {
		e, ok := o.registry.lookup(n.tenant, n.target)
		if !ok {
			return nil // removed meanwhile
		}
		address = e.Webhook.URL
	}
	now := o.clock.Now()
	d := delivery{Version: entryVersion, Tenant: n.tenant, RoundUS: now.UnixMicro(), Delivery: schemas.Delivery{
		ID: n.id(), Webhook: n.target, URL: address, Job: n.job(), Campaign: n.campaign(), Event: n.event,
		CreatedUS: now.UnixMicro(), Payload: n.payload(o.cfg.PublicURL),
	}}
	d.schedule(o.id, now, o.cfg.Timeout)
	ctx, cancel := outlive(ctx, handOverWithin) // what is not known to be made cannot be handed over
	defer cancel()
	return o.store(ctx, d)
}

func (o *Outbox) store(ctx context.Context, d delivery) error {
	_, err := o.write(ctx, d, 0)
	return err
}
