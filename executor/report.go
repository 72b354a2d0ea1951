package executor

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Tries to report the end of an attempt. When all fail, the attempt leaves the
// heartbeats, and the gateway finds it lost.
const (
	reportTries = 8
	reportPause = 250 * time.Millisecond
)

// report tells how the attempt ended: by its objects, or by the platform's failure.
func (e *Executor) report(ctx context.Context, a *attempt, event schemas.Event, err error) {
	log := e.log.With("job", a.held.Job, "attempt", a.held.Attempt)
	if err != nil {
		var stop *stopped
		if errors.As(err, &stop) && stop.silent {
			e.metrics.attempts.WithLabelValues("stopped").Inc()
			return
		}
		failure := failureOf(err)
		log.Warn("attempt failed", "code", failure.Code, "err", failure.Message)
		event = schemas.Event{Tenant: a.held.Tenant, Nonce: a.nonce, Failure: failure, AtUS: time.Now().UnixMicro()}
		e.metrics.attempts.WithLabelValues(string(failure.Code)).Inc()
		e.publish(ctx, a.held, schemas.EventFailed, event)
		return
	}
	state := event.Outcome.State()
	e.metrics.attempts.WithLabelValues(string(state)).Inc()
	e.metrics.observe(a.timeline.sorted())
	log.Info("job ended", "state", state)
	e.publish(ctx, a.held, schemas.EventResult, event)
}

func failureOf(err error) *schemas.Failure {
	var failure *schemas.Failure
	if errors.As(err, &failure) {
		return failure
	}
	return schemas.NewFailure(schemas.FailInternal, err.Error())
}

func (e *Executor) publish(ctx context.Context, h schemas.Held, kind schemas.EventKind, event schemas.Event) {
	name := jobqueue.EventName{Executor: e.cfg.ID, Job: h.Job, Attempt: h.Attempt, Kind: kind}
	pause := reportPause
	for n := 1; ; n++ {
		err := e.cfg.Queue.PublishEvent(ctx, name, event)
		if err == nil {
			return
		}
		if n == reportTries {
			e.log.Error("attempt not reported", "job", h.Job, "attempt", h.Attempt, "err", err)
			return
		}
		time.Sleep(pause)
		pause *= 2
	}
}
