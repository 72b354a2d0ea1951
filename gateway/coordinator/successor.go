package coordinator

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// An idempotency key gives a job its id. Used again after its job was removed, it
// makes another job of that id, while executors that were cut off may still be
// running attempts of the first, with signed requests for their objects. So the
// second job's attempts are numbered on from the first one's: the number is the
// fence, also between the two.

// fence is the highest number of an attempt that the record's job has had, or one
// before it of the same id.
func fence(rec *schemas.Record) int {
	if n := len(rec.Attempts); n > 0 {
		return rec.Attempts[n-1].N
	}
	return rec.Forgiven
}

// release frees the id of a removed job, whose objects are gone, to whoever takes
// over its fence. The marker stays, whatever the id is made of, until a sweep drops
// it: gateways whose watch is late, or was away, learn by it that the job is gone.
func (c *Coordinator) release(ctx context.Context, rec *schemas.Record, marker uint64) error {
	word := strconv.AppendInt(nil, int64(fence(rec)), 10)
	return c.queue.Jobs.Leave(ctx, schemas.RecordKey(rec.Tenant, rec.ID), word, marker)
}

// earlier looks for the job that the draft's idempotency key made before. In the
// place of one that was removed the draft is put, behind its fence; [ErrRemoving]
// while objects of that may be there.
func (c *Coordinator) earlier(ctx context.Context, d *draft) (first schemas.Record, found bool, err error) {
	key := schemas.RecordKey(d.rec.Tenant, d.rec.ID)
	d.looked = time.Now()
	e, err := c.queue.Jobs.Look(ctx, key)
	switch {
	case errors.Is(err, jobqueue.ErrNotFound):
		if first, found, err = c.earlierPast(ctx, d); err == nil && !found {
			err = d.succeed(0, 0)
		}
		return first, found, err
	case err != nil:
		return first, false, err
	case !e.Deleted:
		if first, err = c.decode(key, e); err != nil || !c.state.over(&first, e.Revision) {
			return first, err == nil, err
		}
		if err := c.queue.Jobs.Free(ctx, key, e.Revision); err != nil {
			return first, false, err
		}
		if first, found, err = c.earlierPast(ctx, d); err == nil && !found {
			err = d.succeed(0, 0)
		}
		return first, found, err
	}
	last, err := strconv.Atoi(string(e.Value))
	if err != nil {
		return first, false, ErrRemoving
	}
	if first, found, err = c.earlierPast(ctx, d); err == nil && !found { // see [Coordinator.withdraw]
		err = d.succeed(last, e.Revision)
	}
	return first, found, err
}

// keyWindow is how old the answer may be that there is no job of a key, when one is
// made: while it is younger than [keptAfterKey], less what the writing takes, no
// such job can have been made, have ended and have left the bucket meanwhile.
const (
	keyWindow  = 10 * time.Second
	keyPublish = 20 * time.Second
)

// earlierPast looks for the job in history, after it was not found in the bucket.
func (c *Coordinator) earlierPast(ctx context.Context, d *draft) (first schemas.Record, found bool, err error) {
	job, err := c.past(ctx, d.rec.Tenant, d.rec.ID)
	if isNotFound(err) {
		return first, false, nil
	}
	return job.Record, err == nil, err
}

// unlooked reports whether it was too long ago that the draft's key was looked for.
func (d *draft) unlooked() bool {
	return d.rec.IdempotencyKey != "" && time.Since(d.looked) > keyWindow
}

// succeed puts the job behind the fence of one before it, whose marker has this revision.
func (d *draft) succeed(last int, marker uint64) (err error) {
	if d.over == marker {
		return nil
	}
	d.over, d.rec.Forgiven = marker, last
	d.data, err = encodeRecord(d.rec)
	return err
}
