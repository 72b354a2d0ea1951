package executor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// Pauses between two tries to register.
const (
	firstRegisterPause = 100 * time.Millisecond
	longRegisterPause  = 10 * time.Second
)

// errUnwelcome: a gateway answered, and does not want this executor.
var errUnwelcome = errors.New("gateway refuses this executor")

// register tells a gateway of this executor, trying until one answers, and
// returns how often it wants to hear of it.
func (e *Executor) register(ctx context.Context) (beat time.Duration, err error) {
	for pause := firstRegisterPause; ; pause = min(2*pause, longRegisterPause) {
		beat, err = e.hello(ctx)
		if err == nil || errors.Is(err, errUnwelcome) {
			return beat, err
		}
		if pause == 16*firstRegisterPause {
			e.log.Warn("no gateway answers yet; trying on", "err", err)
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("register: %w", context.Cause(ctx))
		case <-time.After(pause):
		}
	}
}

func (e *Executor) hello(ctx context.Context) (time.Duration, error) {
	var reply schemas.HelloReply
	if err := e.ask(ctx, schemas.VerbHello, e.facts, &reply); err != nil {
		return 0, err
	}
	if reply.Refused != "" {
		return 0, fmt.Errorf("%w: %s", errUnwelcome, reply.Refused)
	}
	e.puller.SetPools(reply.Pools)
	e.log.Info("registered", "slots", e.cfg.Slots, "offers", len(e.facts.Offers))
	return max(time.Duration(reply.BeatMS)*time.Millisecond, 100*time.Millisecond), nil
}

func (e *Executor) ask(ctx context.Context, verb string, request, reply any) error {
	return e.cfg.Queue.Ask(ctx, verb, request, reply)
}

// beatUntil tells the gateways every interval which attempts are held, and
// stops those that the answer lists.
func (e *Executor) beatUntil(ctx context.Context, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		e.beat(ctx, interval)
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (e *Executor) beat(ctx context.Context, timeout time.Duration) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	var reply schemas.BeatReply
	if err := e.ask(ctx, schemas.VerbBeat, e.heartbeat(), &reply); err != nil {
		if ctx.Err() == nil || errors.Is(ctx.Err(), context.DeadlineExceeded) {
			e.log.Warn("heartbeat not answered", "err", err)
		}
		return
	}
	for _, s := range reply.Stop {
		e.stopAttempt(s)
	}
	if !reply.Unknown {
		e.puller.SetPools(reply.Pools)
		return
	}
	if _, err := e.hello(ctx); err != nil {
		e.log.Warn("register again", "err", err)
	}
}

func (e *Executor) heartbeat() schemas.Beat {
	e.mu.Lock()
	defer e.mu.Unlock()
	b := schemas.Beat{Instance: e.facts.Instance, Slots: e.cfg.Slots, Busy: len(e.held), Draining: e.draining}
	for held := range e.held {
		b.Held = append(b.Held, held)
	}
	return b
}

// stopAttempt ends an attempt because a gateway said so, and returns it, or nil
// if it isn't held. Nothing is reported of it.
func (e *Executor) stopAttempt(s schemas.Stop) *attempt {
	a := e.holding(s.Held)
	if a == nil {
		return nil
	}
	e.log.Info("job stopped", "job", s.Job, "attempt", s.Attempt, "reason", s.Reason)
	a.stop(&stopped{reason: s.Reason, silent: true})
	return a
}

// command answers a gateway's request.
func (e *Executor) command(ctx context.Context, verb string, body []byte) (any, error) {
	switch verb {
	case schemas.CommandStop:
		return answer(body, func(s schemas.Stop) (any, error) { return e.stopAndWait(ctx, s), nil })
	case schemas.CommandLogs:
		return answer(body, func(r schemas.LogsRequest) (any, error) { return e.readLogs(r) })
	case schemas.CommandPools:
		return answer(body, func(p schemas.Pools) (any, error) { e.puller.SetPools(p.Pools); return nil, nil })
	}
	return nil, fmt.Errorf("unknown command %.40q", verb)
}

func answer[T any](body []byte, act func(T) (any, error)) (any, error) {
	var request T
	if err := json.Unmarshal(body, &request); err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	return act(request)
}

func (e *Executor) stopAndWait(ctx context.Context, s schemas.Stop) schemas.StopReply {
	a := e.stopAttempt(s)
	if a == nil {
		return schemas.StopReply{Ended: true}
	}
	select {
	case <-a.ended:
		return schemas.StopReply{Ended: true}
	case <-ctx.Done():
		return schemas.StopReply{}
	}
}

// readLogs gives a late reader what it missed.
func (e *Executor) readLogs(r schemas.LogsRequest) (schemas.LogsReply, error) {
	a := e.holding(r.Held)
	if a == nil {
		return schemas.LogsReply{Gone: true}, nil
	}
	s := a.stdout
	if r.Stream == schemas.LiveStderr {
		s = a.stderr
	}
	data, end, err := s.read(r.Offset, schemas.MaxLogChunk)
	return schemas.LogsReply{Data: data, End: end}, err
}
