package executor

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// askTries is the patience with gateways that do not answer a report; a lost
// answer costs nothing, as the nonce tells a repeated report.
var askTries = patience{tries: 2, pause: 100 * time.Millisecond}

// askTimeout bounds each of them.
const askTimeout = 5 * time.Second

// leaveTries is the patience with leaving a report on the stream. When it is over,
// the attempt leaves the heartbeats, and the gateway finds it lost.
var leaveTries = patience{tries: 9, pause: 250 * time.Millisecond}

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
		if pause := e.rest.failed(failure.Code); pause > 0 {
			e.log.Warn("this host failed a job by its own fault, and takes no more for a while", "code", failure.Code, "pause", pause)
		}
		event = schemas.Event{Tenant: a.held.Tenant, Nonce: a.nonce, Failure: failure, AtUS: time.Now().UnixMicro()}
		e.deliver(ctx, a.held, event)
	default:
		state := event.Outcome.State()
		e.metrics.attempts.WithLabelValues(string(state)).Inc()
		e.metrics.observe(a.timeline.sorted())
		log.Info("job ended", "state", state)
		e.rest.succeeded()
		e.deliver(ctx, a.held, event)
	}
}

// deliver has a gateway take the report at once, or leaves it on the stream,
// where it waits for one that can.
func (e *Executor) deliver(ctx context.Context, h schemas.Held, event schemas.Event) {
	log := e.log.With("job", h.Job, "attempt", h.Attempt)
	verdict, err := e.askReport(ctx, h, event)
	switch verdict {
	case schemas.VerdictAccepted, schemas.VerdictRepeated:
		return
	case schemas.VerdictRefused:
		log.Warn("report refused: the attempt does not hold the job any more")
		return
	}
	log.Debug("report not taken now; left on the stream", "err", err)
	name := jobqueue.EventName{Executor: e.cfg.ID, Job: h.Job, Attempt: h.Attempt, Kind: event.Kind()}
	err = leaveTries.retry(ctx, func() error { return e.cfg.Queue.PublishEvent(ctx, name, event) })
	if err != nil {
		log.Error("attempt not reported", "err", err)
	}
}

func (e *Executor) askReport(ctx context.Context, h schemas.Held, event schemas.Event) (schemas.Verdict, error) {
	var reply schemas.ReportReply
	err := askTries.retry(ctx, func() error {
		ask, cancel := context.WithTimeout(ctx, askTimeout)
		defer cancel()
		err := e.ask(ask, schemas.VerbReport, schemas.Report{Job: h.Job, Attempt: h.Attempt, Event: event}, &reply)
		if errors.Is(err, jobqueue.ErrNobody) {
			return final(err)
		}
		return err
	})
	return reply.Verdict, err
}
