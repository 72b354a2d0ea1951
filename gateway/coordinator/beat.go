package coordinator

import (
	"context"
	"fmt"

	"github.com/program-explorer/pe/schemas"
)

const (
	reasonCancelled = "cancelled"
	reasonDeadline  = "deadline"
	reasonNotYours  = "the attempt does not hold the job any more"
)

// beat hears that an executor lives and what it holds, and tells it what to
// stop: that is also how a stop command arrives that was lost.
func (c *Coordinator) beat(ctx context.Context, executor string, body []byte) (any, error) {
	beat, err := schemas.DecodeControl[schemas.Beat](body)
	if err != nil {
		return nil, fmt.Errorf("decode heartbeat: %w", err)
	}
	if _, _, err := c.known(ctx, executor); err != nil {
		return nil, err
	}
	known, news := c.fleet.Heard(executor, beat)
	if !known {
		return schemas.BeatReply{Unknown: true}, nil
	}
	if err := c.awaitPools(ctx); err != nil {
		return nil, err
	}
	if news {
		c.fleetChanged()
	}
	lost, stop, foreign := c.state.heard(executor, beat)
	for _, h := range lost {
		c.later(func(ctx context.Context) { c.lose(ctx, executor, h, lostMissing) })
	}
	reply := schemas.BeatReply{Pools: c.fleet.Pools(executor), Stop: stop}
	for _, h := range foreign {
		// What is known here may be old; a job is stopped on the record's word alone.
		rec, _, err := c.read(ctx, h.Tenant, h.Job)
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		if err != nil || !holds(&rec, executor, h.Attempt) {
			reply.Stop = append(reply.Stop, schemas.Stop{Held: h, Reason: reasonNotYours})
		}
	}
	return reply, nil
}
