package api

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/program-explorer/pe/gateway/retention"
	"github.com/program-explorer/pe/schemas"
)

// Sweeper deletes what no record accounts for: [retention.Sweeper] is one.
type Sweeper interface {
	Sweep(context.Context, retention.Options) (schemas.SweepReport, error)
	// Grace is how old an object must be to go, unless somebody says otherwise.
	Grace() time.Duration
}

// sweep runs a sweep, and tells how far it is as server-sent events. It ends
// with the request: a client that leaves stops it, in a moment.
func (a *API) sweep(w http.ResponseWriter, r *http.Request, _ string) error {
	if a.Sweeper == nil {
		return kindNotFound.problem("this gateway sweeps nothing", "")
	}
	options, err := a.sweepOptions(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(nil)
	s := &sweeping{stream: newEventStream(w, a.StallTimeout), stop: cancel, progress: make(chan schemas.SweepReport, 1), ended: make(chan sweepEnd, 1)}
	options.Progress = s.note
	go func() {
		report, err := a.Sweeper.Sweep(ctx, options)
		if err != nil && context.Cause(ctx) != nil {
			err = context.Cause(ctx)
		}
		s.ended <- sweepEnd{report, err}
	}()
	end := s.follow(a.draining, a.Heartbeat)
	a.Log.Info("swept by request", "token", callerOf(ctx).Token, "dry_run", options.DryRun, "grace", options.Grace,
		"listed", end.report.Listed.Objects, "garbage", end.report.Total().Objects, "err", end.err)
	return s.tell(end)
}

func (a *API) sweepOptions(r *http.Request) (o retention.Options, err error) {
	want, err := schemas.DecodeSweepRequest(r.Body)
	var wrong *schemas.InvalidError
	if errors.As(err, &wrong) {
		p := kindMalformed.problem(wrong.Problems[0].Pointer+": "+wrong.Problems[0].Message, "")
		p.Problems = wrong.Problems
		return o, p
	}
	if err != nil {
		return o, err
	}
	o = retention.Options{DryRun: want.DryRun, Grace: a.Sweeper.Grace()}
	if want.GraceMS != nil {
		o.Grace = time.Duration(*want.GraceMS) * time.Millisecond
	}
	return o, nil
}

// sweeping is a sweep that somebody waits for.
type sweeping struct {
	stream *eventStream
	stop   context.CancelCauseFunc
	// progress holds the newest report that was not sent yet.
	progress chan schemas.SweepReport
	ended    chan sweepEnd
	// begun says that something was sent, so that a problem must be told as an event.
	begun bool
	// broken is why nothing more can be sent.
	broken error
}

type sweepEnd struct {
	report schemas.SweepReport
	err    error
}

// note takes the place of what was not sent yet: the sweep waits for no reader.
func (s *sweeping) note(r schemas.SweepReport) {
	select {
	case <-s.progress:
	default:
	}
	s.progress <- r // nobody else fills it
}

// follow sends what is noted until the sweep has ended, which it has it do
// when the client is gone or this gateway stops.
func (s *sweeping) follow(draining <-chan struct{}, every time.Duration) sweepEnd {
	beat := time.NewTicker(every)
	defer beat.Stop()
	for {
		select {
		case end := <-s.ended:
			return end
		case <-draining:
			draining = nil
			s.stop(kindUnavailable.problem("this gateway is being stopped", "sweep again: another gateway, or this one when it is back, goes on"))
		case <-beat.C:
			s.sent(s.stream.comment())
		case r := <-s.progress:
			s.send(schemas.SweepProgress, r)
		}
	}
}

func (s *sweeping) send(kind string, data any) {
	if s.broken != nil {
		return
	}
	err := s.stream.event(kind, nil, data)
	if err == nil {
		err = s.stream.flush()
	}
	s.sent(err)
}

// sent takes note of whether the client still reads.
func (s *sweeping) sent(err error) {
	s.begun = true
	if err != nil && s.broken == nil {
		s.broken = err
		s.stop(err)
	}
}

// tell sends how the sweep ended.
func (s *sweeping) tell(end sweepEnd) error {
	if end.err != nil && !s.begun {
		return end.err // a problem document
	}
	if end.err != nil {
		s.send(schemas.SweepProgress, end.report)
		s.send(schemas.SweepProblem, problemOf(end.err))
	} else {
		s.send(schemas.SweepEnd, end.report)
	}
	return s.broken
}
