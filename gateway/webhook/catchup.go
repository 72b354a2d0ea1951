package webhook

import (
	"context"
	"encoding/json"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// catchUp reads the ends again of which the backlog had no room, once it has: of
// tenants whose receivers take what is sent to them.
func (o *Outbox) catchUp(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return nil
	case <-o.both:
	}
	for o.wait(ctx, lookEvery) {
		for _, tenant := range o.backlog.lagging() {
			if !o.book.room(tenant, o.cfg.MaxPending) {
				continue
			}
			if err := o.readOn(ctx, tenant); err != nil && ctx.Err() == nil {
				o.log.Warn("ends not read again yet", "tenant", tenant, "err", err)
			}
		}
	}
	return nil
}

// readOn goes through a tenant's records until the backlog is full, or none is left.
func (o *Outbox) readOn(ctx context.Context, tenant string) error {
	begin, since, full := o.backlog.resume(tenant), o.clock.Now().Add(-lookBack), false
	take := func(rec *schemas.Record, rev uint64) bool {
		if rec.State.Terminal() && !time.UnixMicro(rec.EndedUS).Before(since) {
			full = !o.notify(jobEnding(rec, rev)) || full
		}
		return !full
	}
	err := o.cfg.Queue.Jobs.Read(ctx, tenant, begin, func(e jobqueue.Entry) bool {
		var rec schemas.Record
		if err := json.Unmarshal(e.Value, &rec); err != nil {
			o.log.Error("record skipped", "key", e.Key, "err", err)
			return true
		}
		return take(&rec, e.Revision)
	})
	if err != nil || full {
		o.backlog.lag(tenant, begin+1)
		return err
	}
	// Afterwards: what left the bucket while it was read is found there.
	resume, err := o.cfg.Past(ctx, tenant, begin, since, take)
	if err != nil || resume != 0 {
		o.backlog.lag(tenant, resume+1)
	}
	return err
}
