package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// offer publishes one in the background.
func (c *Coordinator) offer(o feeder.Offer) {
	c.later(func(ctx context.Context) {
		stored, err := c.queue.PublishOffer(ctx, o.Place, o.ID)
		outcome := "stored"
		switch {
		case errors.Is(err, jobqueue.ErrOffered):
			outcome, err = "duplicate", nil
		case err != nil:
			outcome = "failed"
			c.log.Warn("job not offered; trying again", "job", o.Place.Job, "err", err)
		case !stored:
			outcome = "duplicate"
		}
		c.metrics.feeds.WithLabelValues(outcome).Inc()
		// Claimed or cancelled meanwhile, it needs no taking back: whoever gets
		// the offer is told so, and acknowledges it.
		c.feeder.Settle(o, err)
	})
}

// prepareTimeout bounds the making of a pool. A request that the server took with
// it when it went away is never answered, and jobs wait for the next try.
const prepareTimeout = 10 * time.Second

// prepare makes a pool: its consumers first, then its entry in the bucket, so
// that whoever knows of the pool can pull from it.
func (c *Coordinator) prepare(pool string, needs schemas.Requires) {
	c.later(func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, prepareTimeout)
		defer cancel()
		err := c.makePool(ctx, pool, needs)
		if err != nil {
			c.log.Warn("pool not made; trying again", "pool", pool, "err", err)
		}
		if err == nil {
			// Before the first offer: the executor that fits best should wait for it by then.
			c.feeder.Made(pool)
			c.fleetChanged()
		}
		c.feeder.Ready(pool, err)
	})
}

func (c *Coordinator) makePool(ctx context.Context, pool string, needs schemas.Requires) error {
	if err := c.queue.EnsurePool(ctx, pool); err != nil {
		return err
	}
	data, err := json.Marshal(needs.Canonical())
	if err != nil {
		return fmt.Errorf("encode pool %s: %w", pool, err)
	}
	if _, err := c.queue.Pools.Create(ctx, pool, data); err != nil && !errors.Is(err, jobqueue.ErrConflict) {
		return err
	}
	return nil
}

func (c *Coordinator) watchPools(ctx context.Context) error {
	each := func(e jobqueue.Entry) {
		if e.Deleted {
			c.feeder.Retired(e.Key)
			c.fleetChanged()
			return
		}
		needs, err := decodePool(e.Key, e.Value)
		if err != nil {
			c.log.Error("pool skipped", "err", err)
			return
		}
		if c.feeder.Known(e.Key, needs) {
			c.fleetChanged()
		}
	}
	return c.queue.Pools.Watch(ctx, each, func() {
		c.pooled()
		c.fleetChanged()
	})
}

// awaitPools waits, after the start, until all pools are known.
func (c *Coordinator) awaitPools(ctx context.Context) error {
	select {
	case <-c.pools:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("pools are still being read from the queue: %w", ctx.Err())
	}
}

func decodePool(name string, data []byte) (needs schemas.Requires, err error) {
	if err := json.Unmarshal(data, &needs); err != nil {
		return needs, fmt.Errorf("decode pool %.80q: %w", name, err)
	}
	if needs.Pool() != name {
		return needs, fmt.Errorf("pool %.80q has the requirements of %s", name, needs.Pool())
	}
	return needs, nil
}

// promote moves jobs whose time to wait is over to the feeder's lanes.
func (c *Coordinator) promote(ctx context.Context) error {
	for {
		wait := c.feeder.Promote()
		c.feeder.Retarget(c.depth)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		case <-c.feeder.Wake():
			timer.Stop()
		}
	}
}

// reconcileEvery compares what should be offered with what is, for ever.
func (c *Coordinator) reconcileEvery(ctx context.Context) error {
	for pause(ctx, c.cfg.Reconcile) {
		if !c.state.isLoaded() || c.queue.Healthy() != nil {
			continue
		}
		for pool := range c.feeder.Existing() {
			if err := c.reconcile(ctx, pool); err != nil && ctx.Err() == nil {
				c.log.Warn("pool not reconciled", "pool", pool, "err", err)
			}
		}
		c.settleAll(ctx)
		c.fleetChanged()
		c.retire(ctx)
		c.forget(ctx)
	}
	return nil
}

func (c *Coordinator) reconcile(ctx context.Context, pool string) error {
	for _, lane := range []string{schemas.LaneInteractive, schemas.LaneBatch} {
		there, err := c.queue.Offered(ctx, pool, lane)
		if err != nil {
			return err
		}
		repaired, stray := c.feeder.Compare(pool, lane, there)
		if repaired > 0 {
			c.metrics.feeds.WithLabelValues("repaired").Add(float64(repaired))
			c.log.Warn("offers were gone without a claim; offered again", "pool", pool, "offers", repaired)
			// They may have gone with the pool, which another gateway retired in this very moment.
			if err := c.queue.EnsurePool(ctx, pool); err != nil {
				return err
			}
		}
		for _, place := range stray {
			if err := c.removeStray(ctx, place); err != nil {
				return err
			}
		}
		if err := c.unstick(ctx, pool, lane); err != nil {
			return err
		}
	}
	return nil
}

// Patience with an offer that is in the stream while executors wait for one:
// undelivered if nothing of the lane is unacknowledged, else any.
const (
	stuckUndelivered = 10 * time.Second
	stuckAtAll       = 2*jobqueue.AckWait + stuckUndelivered
)

// unstick takes back offers that the server has and does not deliver, which was
// seen on a loaded machine (nats-server 2.15.2), about once in ten thousand jobs:
// the consumer had passed the message, and nothing was unacknowledged. The next
// round finds them missing and offers the jobs again.
func (c *Coordinator) unstick(ctx context.Context, pool, lane string) error {
	old := c.feeder.OfferedFor(pool, lane, stuckUndelivered)
	if len(old) == 0 {
		return nil
	}
	idle, err := c.queue.Idle(ctx, pool, lane)
	if errors.Is(err, jobqueue.ErrNotFound) {
		// Another gateway retired the pool in the moment in which it was made.
		return c.queue.EnsurePool(ctx, pool)
	}
	if err != nil || idle.Pulls == 0 {
		return err
	}
	if idle.Unacked {
		old = c.feeder.OfferedFor(pool, lane, stuckAtAll)
	}
	for _, place := range old {
		c.metrics.feeds.WithLabelValues("stuck").Inc()
		c.log.Warn("offer is not delivered although executors wait; taken back", "job", place.Job, "pool", pool)
		if err := c.queue.TakeBack(ctx, place); err != nil {
			return err
		}
	}
	return nil
}

// removeStray takes back the offer of a job that has ended. Of any other, the
// claim decides: an offer may be ahead of what is known here.
func (c *Coordinator) removeStray(ctx context.Context, place jobqueue.Place) error {
	rec, _, err := c.read(ctx, place.Tenant, place.Job)
	if err != nil && !isNotFound(err) {
		return err
	}
	if isNotFound(err) || rec.State.Terminal() || rec.Pool != place.Pool || rec.Lane != place.Lane {
		return c.queue.TakeBack(ctx, place)
	}
	return nil
}

// retire removes pools that nobody needs or serves: their offers, their
// consumers, their entry. Jobs that still wait make the pool anew once
// somebody comes who could serve it.
func (c *Coordinator) retire(ctx context.Context) {
	for _, pool := range c.feeder.Idle(c.cfg.PoolIdle) {
		err := c.queue.Pools.Delete(ctx, pool, 0)
		if err == nil {
			err = c.queue.DropPool(ctx, pool)
		}
		if err != nil {
			c.log.Warn("pool not retired", "pool", pool, "err", err)
			continue
		}
		c.log.Info("pool retired", "pool", pool)
	}
}
