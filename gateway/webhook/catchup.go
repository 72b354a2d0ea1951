package webhook

import (
	"context"
	"encoding/json"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// catchUp reads the ends again of which the backlog had no room, once it has: for
// receivers that take what is sent to them.
func (o *Outbox) catchUp(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-o.both:
	}
	for o.wait(ctx, lookEvery) {
		for _, from := range o.backlog.lagging() {
			due := o.current(o.backlog.resume(from, o.book.worthWhile))
			if err := o.readOn(ctx, from, due); err != nil && ctx.Err() == nil {
				o.log.Warn("ends not read again yet", "tenant", from.tenant, "err", err)
			}
		}
	}
	return nil
}

// readOn goes through a source until no more can be held for whom it is read, or
// nothing is left. What is left out on the way is noted by the backlog.
func (o *Outbox) readOn(ctx context.Context, from source, due gaps) error {
	switch {
	case len(due) == 0:
		return nil
	case from.campaigns:
		return o.readCampaigns(from, due)
	}
	return o.readJobs(ctx, from, due)
}

// readCampaigns finds those that have ended and are still there.
func (o *Outbox) readCampaigns(from source, due gaps) error {
	all, err := o.cfg.Campaigns(from.tenant)
	if err != nil {
		o.goOn(from, due, 0)
		return err
	}
	for _, c := range all {
		if c.EndedUS != 0 && o.age(c.EndedUS) <= lookBack {
			o.notify(campaignEnding(from.tenant, &c), func(r receiver) bool { return due.has(r, 1) })
		}
	}
	return nil
}

// current leaves out webhooks that are told of nothing any more.
func (o *Outbox) current(due gaps) gaps {
	for r := range due {
		if r.target == "" || r.target == callbackTarget {
			continue
		}
		if e, there := o.registry.lookup(r.tenant, r.target); !there || !e.Webhook.Enabled {
			delete(due, r)
		}
	}
	return due
}

func (o *Outbox) readJobs(ctx context.Context, from source, due gaps) error {
	begin, since, full := due.begin(), o.clock.Now().Add(-lookBack), false
	take := func(rec *schemas.Record, rev uint64) bool {
		if rec.State.Terminal() && !time.UnixMicro(rec.EndedUS).Before(since) {
			o.notify(jobEnding(rec, rev), func(r receiver) bool { return due.has(r, rev) })
			full = o.backlog.full(due)
		}
		return !full
	}
	err := o.cfg.Queue.Jobs.Read(ctx, from.tenant, begin, func(e jobqueue.Entry) bool {
		var rec schemas.Record
		if err := json.Unmarshal(e.Value, &rec); err != nil {
			o.log.Error("record skipped", "key", e.Key, "err", err)
			return true
		}
		return take(&rec, e.Revision)
	})
	if err != nil || full {
		o.goOn(from, due, 0)
		return err
	}
	// Afterwards: what left the bucket while it was read is found there.
	resume, err := o.cfg.Past(ctx, from.tenant, begin, since, take)
	if err != nil || resume != 0 {
		o.goOn(from, due, resume)
	}
	return err
}

// goOn notes that what was left out is yet to be read: after a revision, if that is later.
func (o *Outbox) goOn(from source, due gaps, after uint64) {
	for r, a := range due {
		o.backlog.lag(from, r, max(a, after)+1)
	}
}
