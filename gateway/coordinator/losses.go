package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/gateway/fleet"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Why an attempt was taken from its executor.
const (
	lostSilent  = "silent"
	lostMissing = "missing"
	lostOverdue = "overdue"
	lostStopped = "stopped"
)

// errNotHeld: the attempt does not hold the job.
var errNotHeld = errors.New("the attempt does not hold the job")

func isNotFound(err error) bool { return errors.Is(err, ErrNotFound) }

// watchLeases takes attempts from executors that are silent for a lease, or
// that hold one for longer than it may take.
func (c *Coordinator) watchLeases(ctx context.Context) error {
	every := c.cfg.look()
	clock := fleet.NewClock(c.cfg.Lease, every)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		clock.Look(c.cfg.Now(), c.queue.Healthy() == nil, c.queue.Epoch())
		c.checkLeases(ctx, clock)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (c *Coordinator) checkLeases(ctx context.Context, clock *fleet.Clock) {
	now := c.cfg.Now()
	lost := c.fleet.Expire(func(seen time.Time) bool { return clock.Expired(now, seen) })
	for _, l := range lost {
		c.later(func(ctx context.Context) { c.lost(ctx, l) })
	}
	if len(lost) > 0 {
		c.fleetChanged()
	}
	if !clock.Expired(now, time.Time{}) {
		return // what follows has its lease of grace, too
	}
	for _, executor := range c.state.holders() {
		if !c.fleet.Silent(executor) {
			continue
		}
		for _, held := range c.state.heldBy(executor) {
			c.lose(ctx, executor, held, lostSilent)
		}
	}
	for held, executor := range c.state.overdue(now, c.cfg.Overtime) {
		c.lose(ctx, executor, held, lostOverdue)
	}
}

// lose takes an attempt from its executor, unless its end has been reported:
// then the report is what counts, however long it has waited.
func (c *Coordinator) lose(ctx context.Context, executor string, held schemas.Held, reason string) {
	log := c.log.With("job", held.Job, "attempt", held.Attempt, "executor", executor, "reason", reason)
	name, event, err := c.queue.FindEvent(ctx, executor, held.Job, held.Attempt)
	if err == nil {
		if c.settle(ctx, name, event) != schemas.VerdictRefused {
			return
		}
	} else if !errors.Is(err, jobqueue.ErrNotFound) {
		log.Warn("attempt not taken back now", "err", err)
		return
	}
	failure := schemas.NewFailure(schemas.FailLost, lossMessage(executor, reason))
	switch err := c.endAttempt(ctx, executor, held, failure); {
	case err == nil:
		c.metrics.lost.WithLabelValues(reason).Inc()
		log.Warn("attempt lost")
		if reason == lostOverdue {
			// A mute executor must not keep the leases of others from being looked at.
			c.later(func(ctx context.Context) { c.tellStop(ctx, executor, held, reason) })
		}
	case !errors.Is(err, errNotHeld) && !isNotFound(err):
		log.Error("attempt not taken back", "err", err)
	}
}

func lossMessage(executor, reason string) string {
	switch reason {
	case lostMissing:
		return fmt.Sprintf("executor %s does not know of the attempt any more", executor)
	case lostOverdue:
		return fmt.Sprintf("executor %s held the attempt for too long without a result", executor)
	default:
		return fmt.Sprintf("executor %s went silent", executor)
	}
}

// endAttempt ends an attempt without an outcome; [errNotHeld] if it does not hold the job.
func (c *Coordinator) endAttempt(ctx context.Context, executor string, held schemas.Held, f *schemas.Failure) error {
	rec, err := c.change(ctx, held.Tenant, held.Job, func(rec *schemas.Record) error {
		if !holds(rec, executor, held.Attempt) {
			return errNotHeld
		}
		c.rules.fail(rec, c.cfg.Now(), f)
		return nil
	})
	if err == nil {
		c.ended(rec)
	}
	return err
}
