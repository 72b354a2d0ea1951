package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// ErrEnded: the job has ended, so there is nothing to cancel.
var ErrEnded = errors.New("the job has ended")

// errCancelling: the job is to be cancelled already.
var errCancelling = errors.New("the job is being cancelled")

// Cancel ends a queued job, and asks the executor of a running one to end it:
// the job is cancelled once the executor says so, or has lost it. The record
// is returned in every case, with [ErrEnded] if the job had ended before.
func (c *Coordinator) Cancel(ctx context.Context, tenant, job string) (schemas.Record, error) {
	if !schemas.ValidToken(tenant) || !schemas.ValidJobID(job) {
		return schemas.Record{}, ErrNotFound
	}
	rec, err := c.change(ctx, tenant, job, func(rec *schemas.Record) error {
		switch {
		case rec.State.Terminal():
			return ErrEnded
		case !c.rules.cancel(rec, c.cfg.Now()):
			return errCancelling
		}
		return nil
	})
	if err != nil && !errors.Is(err, errCancelling) {
		return rec, err
	}
	if a := rec.Current(); a != nil {
		held := schemas.Held{Tenant: tenant, Job: job, Attempt: a.N}
		c.later(func(ctx context.Context) { c.stop(ctx, a.Executor, held, reasonCancelled) })
		return rec, nil
	}
	c.ended(rec)
	c.takeBack(rec)
	return rec, nil
}

// stopTimeout is how long an executor may take to end an attempt; after that,
// heartbeats tell.
const stopTimeout = 20 * time.Second

var stopMessages = map[string]string{reasonCancelled: "stopped, as the client asked", reasonDeadline: "stopped at its deadline"}

// stop has an attempt of a job ended that is to be cancelled, or whose deadline
// is over. Whatever comes of it, the record says which of them it is.
func (c *Coordinator) stop(ctx context.Context, executor string, held schemas.Held, reason string) {
	if !c.tellStop(ctx, executor, held, reason) {
		return
	}
	err := c.endAttempt(ctx, executor, held, schemas.NewFailure(schemas.FailHandback, stopMessages[reason]))
	if err != nil && !errors.Is(err, errNotHeld) && !isNotFound(err) {
		c.log.Error("job not stopped yet", "job", held.Job, "reason", reason, "err", err)
	}
}

// tellStop asks an executor to end an attempt, and reports whether it has.
func (c *Coordinator) tellStop(ctx context.Context, executor string, held schemas.Held, reason string) bool {
	ctx, cancel := context.WithTimeout(ctx, stopTimeout)
	defer cancel()
	ctx, cancel = c.whileRunning(ctx)
	defer cancel()
	var reply schemas.StopReply
	err := c.queue.Command(ctx, executor, schemas.CommandStop, schemas.Stop{Held: held, Reason: reason}, &reply)
	if err != nil {
		c.log.Debug("stop not answered", "job", held.Job, "executor", executor, "err", err)
	}
	return err == nil && reply.Ended
}

// takeBack removes the offer of a job that is not queued any more.
func (c *Coordinator) takeBack(rec schemas.Record) {
	place := jobqueue.Place{Pool: rec.Pool, Lane: rec.Lane, Tenant: rec.Tenant, Job: rec.ID}
	c.later(func(ctx context.Context) {
		if err := c.queue.TakeBack(ctx, place); err != nil {
			c.log.Debug("offer not taken back", "job", rec.ID, "err", err) // its claim will be answered "gone"
		}
	})
}
