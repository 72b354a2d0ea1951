package coordinator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/gateway/fleet"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// hello registers an executor: it is known to all gateways from then on.
func (c *Coordinator) hello(ctx context.Context, executor string, body []byte) (any, error) {
	facts, err := fleet.DecodeFacts(executor, body)
	if err != nil {
		c.log.Warn("registration refused", "executor", executor, "err", err)
		return schemas.HelloReply{Refused: err.Error()}, nil
	}
	if err := c.awaitPools(ctx); err != nil {
		return nil, err
	}
	data, err := json.Marshal(facts)
	if err != nil {
		return nil, fmt.Errorf("encode facts of %s: %w", executor, err)
	}
	rev, err := c.queue.Execs.Put(ctx, executor, data)
	if err != nil {
		return nil, err
	}
	c.log.Info("executor registered", "executor", executor, "instance", facts.Instance, "slots", facts.Slots, "kinds", len(facts.Offers))
	c.register(fleet.Registration{Facts: facts}, rev)
	return schemas.HelloReply{BeatMS: c.cfg.Beat.Milliseconds(), LeaseMS: c.cfg.Lease.Milliseconds(), Pools: c.fleet.Pools(executor)}, nil
}

func (c *Coordinator) register(r fleet.Registration, rev uint64) {
	if c.fleet.Register(r, rev) {
		c.fleetChanged()
	}
}

// lost writes down when an executor was last heard. It may have come back
// meanwhile, or another gateway wrote it: then nothing is written.
func (c *Coordinator) lost(ctx context.Context, l fleet.Loss) {
	c.log.Warn("executor lost", "executor", l.Executor, "silent_for", c.cfg.Lease)
	data, err := json.Marshal(l.Registration)
	if err == nil {
		_, err = c.queue.Execs.Update(ctx, l.Executor, data, l.Revision)
	}
	if err != nil && !errors.Is(err, jobqueue.ErrConflict) {
		c.log.Warn("loss not written down", "executor", l.Executor, "err", err)
	}
}

// fleetChanged gives every pool its depth, and every executor its pools.
func (c *Coordinator) fleetChanged() {
	c.feeder.Retarget(c.depth)
	select {
	case <-c.pools:
	default:
		return // not all are known yet
	}
	for executor, pools := range c.fleet.Assign(c.feeder.Existing()) {
		// It may not get there: the answer to the next heartbeat says it again.
		if err := c.queue.Command(context.Background(), executor, schemas.CommandPools, schemas.Pools{Pools: pools}, nil); err != nil {
			c.log.Debug("pools not sent", "executor", executor, "err", err)
		}
	}
}

const (
	offersPerSlot = 2
	minDepth      = 2
)

// depth is how many offers each lane of a pool should have.
func (c *Coordinator) depth(needs schemas.Requires) int {
	_, live, slots := c.fleet.Capacity(needs)
	if live == 0 {
		return 0
	}
	return max(minDepth, offersPerSlot*slots)
}

func (c *Coordinator) watchExecutors(ctx context.Context) error {
	each := func(e jobqueue.Entry) {
		if e.Deleted {
			if c.fleet.Remove(e.Key, e.Revision) {
				c.fleetChanged()
			}
			return
		}
		r, err := fleet.DecodeRegistration(e.Key, e.Value)
		if err != nil {
			c.log.Error("executor skipped", "executor", e.Key, "err", err)
			return
		}
		c.register(r, e.Revision)
	}
	return c.queue.Execs.Watch(ctx, each, nil)
}

// forgetAfter is how long a lost executor stays in lists.
const forgetAfter = 7 * 24 * time.Hour

// forget removes executors that will hardly come back; they need only register again.
func (c *Coordinator) forget(ctx context.Context) {
	for executor, rev := range c.fleet.Forgotten(forgetAfter) {
		if err := c.queue.Execs.Delete(ctx, executor, rev); err != nil {
			c.log.Debug("executor not forgotten", "executor", executor, "err", err)
		}
	}
}

// known returns an executor's facts, also those that another gateway has just registered.
func (c *Coordinator) known(ctx context.Context, executor string) (schemas.Facts, bool, error) {
	if facts, ok := c.fleet.Facts(executor); ok {
		return facts, true, nil
	}
	e, err := c.queue.Execs.Get(ctx, executor)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return schemas.Facts{}, false, nil
	}
	if err != nil {
		return schemas.Facts{}, false, err
	}
	r, err := fleet.DecodeRegistration(executor, e.Value)
	if err != nil {
		return schemas.Facts{}, false, err
	}
	c.register(r, e.Revision)
	return r.Facts, true, nil
}

// Executors lists all that ever registered, by id.
func (c *Coordinator) Executors() []schemas.Executor { return c.fleet.List() }
