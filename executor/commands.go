package executor

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/program-explorer/pe/schemas"
)

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

func answer[T schemas.ControlMessage](body []byte, act func(T) (any, error)) (any, error) {
	request, err := schemas.DecodeControl[T](body)
	if err != nil {
		return nil, fmt.Errorf("decode command: %w", err)
	}
	return act(request)
}

// stopAttempt ends an attempt because a gateway said so, and returns it, or nil
// if it isn't held. Nothing is reported of it.
func (e *Executor) stopAttempt(s schemas.Stop) *attempt {
	a := e.holding(s.Held)
	if a != nil {
		a.stop(&stopped{oneLine(s.Reason, maxMessage)})
	}
	return a
}

// stopAndWait answers that the attempt has ended, or, after a while, that it has not yet.
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

// readLogs gives a late reader what it missed. One that comes as the attempt
// ends is told that it is gone: the whole is in the store by then.
func (e *Executor) readLogs(r schemas.LogsRequest) (schemas.LogsReply, error) {
	a := e.holding(r.Held)
	if a == nil {
		return schemas.LogsReply{Gone: true}, nil
	}
	s := a.spool(r.Stream)
	if s == nil {
		return schemas.LogsReply{}, nil // about to be reported as failed
	}
	data, end, err := s.read(r.Offset, schemas.MaxLogChunk)
	if errors.Is(err, os.ErrClosed) {
		return schemas.LogsReply{Gone: true}, nil
	}
	return schemas.LogsReply{Data: data, End: end}, err
}
