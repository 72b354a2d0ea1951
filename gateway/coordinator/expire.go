package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

const (
	expireEvery = time.Second
	// expireAtOnce bounds one round, so that deadlines are looked at again soon;
	// expiresAtOnce how much of it is under way.
	expireAtOnce  = 500
	expiresAtOnce = 16
)

// expireQueued ends the jobs that no executor took in time, and has those
// stopped that run past their deadline.
func (c *Coordinator) expireQueued(ctx context.Context) error {
	for pause(ctx, expireEvery) {
		if !c.state.isLoaded() || c.queue.Healthy() != nil {
			continue
		}
		for held, executor := range c.state.overran(c.cfg.Now()) {
			c.later(func(ctx context.Context) { c.stop(ctx, executor, held, reasonDeadline) })
		}
		c.expireAll(ctx, c.feeder.Overdue(expireAtOnce))
	}
	return nil
}

func (c *Coordinator) expireAll(ctx context.Context, over []jobqueue.Place) {
	var group errgroup.Group
	group.SetLimit(expiresAtOnce)
	for _, place := range over {
		group.Go(func() error {
			if err := c.expire(ctx, place); err != nil && ctx.Err() == nil {
				c.log.Warn("job not expired yet", "job", place.Job, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}

// errNotOver: the job does not wait, or may wait on.
var errNotOver = errors.New("the job's wait is not over")

func (c *Coordinator) expire(ctx context.Context, place jobqueue.Place) error {
	rec, err := c.change(ctx, place.Tenant, place.Job, func(rec *schemas.Record) error {
		if !c.rules.expire(rec, c.cfg.Now(), c.whyExpired(*rec)) {
			return errNotOver
		}
		return nil
	})
	if errors.Is(err, errNotOver) || isNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	c.log.Info("job expired", "job", rec.ID)
	c.ended(rec)
	c.takeBack(rec)
	return nil
}

func (c *Coordinator) whyExpired(rec schemas.Record) string {
	waited := (time.Duration(c.cfg.Now().UnixMicro()-rec.QueuedUS) * time.Microsecond).Round(time.Second)
	if most := time.Duration(rec.QueueTimeoutMS) * time.Millisecond; most != 0 {
		waited = min(waited, most)
	}
	if rec.Follows != "" {
		return fmt.Sprintf("the same job, %s, gave no result within %s", rec.Follows, waited)
	}
	text := fmt.Sprintf("no executor took the job within %s: ", waited)
	if able := c.fleet.Able(rec.Needs); !anyUp(able) {
		return text + absence(able)
	}
	return text + "all that could were busy"
}
