package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// againPause is before an event that could not be judged is delivered again.
const againPause = 2 * time.Second

// event judges the report of an attempt's end.
func (c *Coordinator) event(ctx context.Context, name jobqueue.EventName, e schemas.Event) jobqueue.Verdict {
	if c.judge(ctx, name, e) == schemas.VerdictAgain {
		return jobqueue.Verdict{Retry: againPause}
	}
	return jobqueue.Verdict{}
}

// report judges the same when an executor asks, which saves the event's way
// through the stream: a synced write, and a delivery.
func (c *Coordinator) report(ctx context.Context, executor string, body []byte) (any, error) {
	r, err := schemas.DecodeControl[schemas.Report](body)
	if err != nil {
		c.log.Warn("report refused", "executor", executor, "err", err)
		return schemas.ReportReply{Verdict: schemas.VerdictRefused}, nil
	}
	name := jobqueue.EventName{Executor: executor, Job: r.Job, Attempt: r.Attempt, Kind: r.Kind()}
	return schemas.ReportReply{Verdict: c.judge(ctx, name, r.Event)}, nil
}

func (c *Coordinator) judge(ctx context.Context, name jobqueue.EventName, e schemas.Event) schemas.Verdict {
	v := c.settle(ctx, name, e)
	c.metrics.events.WithLabelValues(string(v)).Inc()
	return v
}

// errRepeated: this event was accepted before.
var errRepeated = errors.New("accepted already")

// settle accepts or refuses an event. Accepted is only what comes from the
// attempt that holds the job; the compare-and-set decides, not the order of arrival.
func (c *Coordinator) settle(ctx context.Context, name jobqueue.EventName, e schemas.Event) schemas.Verdict {
	log := c.log.With("job", name.Job, "attempt", name.Attempt, "executor", name.Executor, "kind", string(name.Kind))
	checked := false
	rec, err := c.change(ctx, e.Tenant, name.Job, func(rec *schemas.Record) error {
		if err := mayReport(rec, name, e.Nonce); err != nil {
			return err
		}
		if !checked && e.Outcome != nil && !rec.Cancel {
			if err := c.checkObjects(ctx, rec, name, &e); err != nil {
				return err
			}
			checked = true
		}
		if e.Failure != nil {
			c.rules.fail(rec, c.cfg.Now(), bounded(e.Failure))
		} else {
			c.rules.accept(rec, c.cfg.Now(), e)
			if rec.CacheKey != "" && !c.trusts(ctx, name.Executor, rec.Tenant) {
				rec.CacheKey = ""
			}
		}
		return c.makeRoom(ctx, rec)
	})
	switch {
	case err == nil:
		log.Info("attempt ended", "state", string(rec.State))
		c.ended(rec)
		return schemas.VerdictAccepted
	case errors.Is(err, errRepeated):
		return schemas.VerdictRepeated
	case errors.Is(err, errNotHeld) || isNotFound(err):
		log.Warn("report refused", "err", err)
		c.sweepLate(rec, name, e)
		return schemas.VerdictRefused
	default:
		log.Error("report not judged yet", "err", err)
		return schemas.VerdictAgain
	}
}

func mayReport(rec *schemas.Record, name jobqueue.EventName, nonce string) error {
	if holds(rec, name.Executor, name.Attempt) && rec.Current().Nonce == nonce {
		return nil
	}
	for _, a := range rec.Attempts {
		if a.N == name.Attempt && a.Executor == name.Executor && a.Nonce == nonce && a.EndedUS != 0 &&
			(a.Failure == nil || a.Failure.Code != schemas.FailLost) {
			return errRepeated
		}
	}
	return errNotHeld
}

// bounded takes a failure from an executor: what the code says of retries counts.
func bounded(f *schemas.Failure) *schemas.Failure {
	code := f.Code
	if !slices.Contains(schemas.FailureCodes, code) {
		code = schemas.FailInternal
	}
	return schemas.NewFailure(code, f.Message)
}
