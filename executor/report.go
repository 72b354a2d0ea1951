package executor

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// reportTries is the patience with reporting the end of an attempt. When it is
// over, the attempt leaves the heartbeats, and the gateway finds it lost.
var reportTries = patience{tries: 9, pause: 250 * time.Millisecond}

// report tells how the attempt ended: by its objects, or by the platform's failure.
func (e *Executor) report(ctx context.Context, a *attempt, event schemas.Event, err error) {
	log := e.log.With("job", a.held.Job, "attempt", a.held.Attempt)
	var stop *stopped
	switch {
	case errors.As(err, &stop):
		e.metrics.attempts.WithLabelValues("stopped").Inc()
		log.Info("attempt stopped", "reason", stop.reason)
	case err != nil:
		failure := failureOf(err)
		e.metrics.attempts.WithLabelValues(string(failure.Code)).Inc()
		log.Warn("attempt failed", "code", failure.Code, "err", failure.Message)
		event = schemas.Event{Tenant: a.held.Tenant, Nonce: a.nonce, Failure: failure, AtUS: time.Now().UnixMicro()}
		e.publish(ctx, a.held, schemas.EventFailed, event)
	default:
		state := event.Outcome.State()
		e.metrics.attempts.WithLabelValues(string(state)).Inc()
		e.metrics.observe(a.timeline.sorted())
		log.Info("job ended", "state", state)
		e.publish(ctx, a.held, schemas.EventResult, event)
	}
}

func (e *Executor) publish(ctx context.Context, h schemas.Held, kind schemas.EventKind, event schemas.Event) {
	name := jobqueue.EventName{Executor: e.cfg.ID, Job: h.Job, Attempt: h.Attempt, Kind: kind}
	err := reportTries.retry(ctx, func() error { return e.cfg.Queue.PublishEvent(ctx, name, event) })
	if err != nil {
		e.log.Error("attempt not reported", "job", h.Job, "attempt", h.Attempt, "err", err)
	}
}
