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
	after := o.backlog.resume(tenant)
	err := o.cfg.Queue.Jobs.Read(ctx, tenant, after, func(e jobqueue.Entry) bool {
		after = e.Revision
		var rec schemas.Record
		if err := json.Unmarshal(e.Value, &rec); err != nil {
			o.log.Error("record skipped", "key", e.Key, "err", err)
			return true
		}
		if !rec.State.Terminal() || o.clock.Now().Sub(time.UnixMicro(rec.EndedUS)) > lookBack {
			return true
		}
		return o.notify(jobEnding(&rec, e.Revision))
	})
	if err != nil {
		o.backlog.lag(tenant, after+1)
	}
	return err
}
