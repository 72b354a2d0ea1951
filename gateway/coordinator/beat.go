package coordinator

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

const (
	// maxHeld bounds the attempts of a heartbeat: those whose report is under way hold no slot.
	maxHeld         = 4 * maxSlots
	reasonCancelled = "cancelled"
	reasonNotYours  = "the attempt does not hold the job any more"
)

// beat hears that an executor lives and what it holds, and tells it what to
// stop: that is also how a stop command arrives that was lost.
func (c *Coordinator) beat(ctx context.Context, executor string, body []byte) (any, error) {
	beat, err := decodeBeat(body)
	if err != nil {
		return nil, err
	}
	if _, _, err := c.known(ctx, executor); err != nil {
		return nil, err
	}
	known, news := c.fleet.heard(executor, beat)
	if !known {
		return schemas.BeatReply{Unknown: true}, nil
	}
	if news {
		c.fleetChanged()
	}
	lost, cancelled, foreign := c.state.heard(executor, beat)
	for _, h := range lost {
		c.later(func(ctx context.Context) { c.lose(ctx, executor, h, lostMissing) })
	}
	reply := schemas.BeatReply{Pools: c.fleet.pools(executor)}
	for _, h := range cancelled {
		reply.Stop = append(reply.Stop, schemas.Stop{Held: h, Reason: reasonCancelled})
	}
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

func decodeBeat(body []byte) (b schemas.Beat, err error) {
	if err := json.Unmarshal(body, &b); err != nil {
		return b, fmt.Errorf("decode heartbeat: %w", err)
	}
	if len(b.Held) > maxHeld || len(b.Instance) > maxText || b.Busy < 0 || b.Slots < 0 {
		return b, fmt.Errorf("heartbeat with %d attempts", len(b.Held))
	}
	if slices.ContainsFunc(b.Held, func(h schemas.Held) bool { return !validHeld(h) }) {
		return b, fmt.Errorf("heartbeat with an attempt that cannot be")
	}
	return b, nil
}

func validHeld(h schemas.Held) bool {
	return schemas.ValidToken(h.Tenant) && schemas.ValidJobID(h.Job) && h.Attempt > 0
}
