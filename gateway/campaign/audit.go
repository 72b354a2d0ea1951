package campaign

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
)

// The watch tells of a removal by its marker. One that has aged out before this
// gateway saw it, as it was cut off, leaves a campaign in its index that is gone, and
// refuses its jobs. An audit compares the index with the bucket's keys.

// auditLook is how often a gateway looks whether an audit is due: it is after a new connection.
const auditLook = time.Minute

func (c *Campaigns) auditEvery(ctx context.Context) {
	epoch, last := c.cfg.Queue.Epoch(), time.Now()
	for pause(ctx, min(c.cfg.Audit, auditLook)) {
		now, connection := time.Now(), c.cfg.Queue.Epoch()
		if connection == epoch && now.Sub(last) < c.cfg.Audit || !c.isKnown() {
			continue
		}
		gone, err := c.audit(ctx)
		if err != nil { // and is still due
			if ctx.Err() == nil {
				c.log.Warn("campaigns not audited; trying again", "err", err)
			}
			continue
		}
		if epoch, last = connection, now; gone > 0 {
			c.log.Warn("campaigns were gone that this gateway had not heard of", "campaigns", gone)
		}
	}
}

// audit takes the campaigns out of the index that are gone, and returns how many.
func (c *Campaigns) audit(ctx context.Context) (gone int, err error) {
	before, listed := c.index.all(func(*known) bool { return true }), map[string]bool{}
	err = c.bucket.Keys(ctx, func(e jobqueue.Entry) {
		if !e.Deleted {
			listed[e.Key] = true
		}
	})
	if err != nil {
		return 0, err
	}
	for _, k := range before {
		if listed[k.key()] {
			continue
		}
		if _, _, err := c.read(ctx, k.key()); errors.Is(err, ErrNotFound) {
			c.index.forget(k.key(), k.rev+1)
			gone++
		} else if err != nil {
			return gone, err
		}
	}
	return gone, nil
}
