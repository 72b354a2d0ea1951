package executor

import (
	"context"
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

// farewell is how long the last heartbeat may take.
const farewell = time.Second

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
	facts := e.Facts()
	if err := e.ask(ctx, schemas.VerbHello, facts, &reply); err != nil {
		return 0, err
	}
	if reply.Refused != "" {
		return 0, fmt.Errorf("%w: %s", errUnwelcome, reply.Refused)
	}
	e.puller.SetPools(reply.Pools)
	e.log.Info("registered", "slots", e.cfg.Slots, "offers", len(facts.Offers))
	return max(time.Duration(reply.BeatMS)*time.Millisecond, 100*time.Millisecond), nil
}

func (e *Executor) ask(ctx context.Context, verb string, request, reply any) error {
	return e.cfg.Queue.Ask(ctx, verb, request, reply)
}

// beatUntil tells the gateways every interval which attempts are held, and at
// once that no more are taken, and stops those that the answer lists.
func (e *Executor) beatUntil(ctx context.Context, interval time.Duration) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	e.beat(ctx, interval)
	for ending := e.ending; ; {
		select {
		case <-ctx.Done():
			if ending != nil {
				e.beat(context.WithoutCancel(ctx), farewell)
			}
			return nil
		case <-ending:
			ending = nil
			// ctx may have ended, too, if there was nothing to wait for.
			e.beat(context.WithoutCancel(ctx), farewell)
		case <-tick.C:
			e.beat(ctx, interval)
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
	b := schemas.Beat{Instance: e.facts.Instance, Slots: e.cfg.Slots, Busy: min(len(e.held), e.cfg.Slots), Draining: e.draining}
	for held := range e.held {
		b.Held = append(b.Held, held)
	}
	return b
}
