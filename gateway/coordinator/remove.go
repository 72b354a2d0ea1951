package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// errChanged: the job is not as it was read.
var errChanged = errors.New("the job has changed meanwhile")

// remove deletes a job that has ended: its record first, if the job is still as
// rec has it, then its objects in the background. So a crash in between leaves
// objects without a record, which a sweep removes, and never a record that
// points to nothing. errChanged if the record is another by now.
func (c *Coordinator) remove(ctx context.Context, rec schemas.Record) error {
	now, rev, err := c.read(ctx, rec.Tenant, rec.ID)
	if err != nil {
		return err
	}
	if now.State != rec.State || now.EndedUS != rec.EndedUS {
		return fmt.Errorf("remove job %s: %w", rec.ID, errChanged)
	}
	objects, err := c.objectsOf(ctx, rec)
	if err != nil {
		return err
	}
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	err = c.queue.Jobs.Delete(ctx, key, rev)
	if errors.Is(err, jobqueue.ErrConflict) {
		err = errChanged
	}
	if err != nil {
		return fmt.Errorf("remove job %s: %w", rec.ID, err)
	}
	c.state.forget(key, rev+1) // the deletion's own revision is at least that
	c.later(func(ctx context.Context) { c.discard(ctx, rec, objects) })
	return nil
}

// objectsOf lists all objects of a job: its specification and what its attempts left.
func (c *Coordinator) objectsOf(ctx context.Context, rec schemas.Record) (all []objstore.Info, err error) {
	const page = 1000
	prefix, after := schemas.JobPrefix(rec.Tenant, rec.ID), ""
	for {
		infos, err := c.store.List(ctx, prefix, after, page)
		if err != nil {
			return nil, fmt.Errorf("list objects of job %s: %w", rec.ID, err)
		}
		if all = append(all, infos...); len(infos) < page {
			return all, nil
		}
		after = infos[len(infos)-1].Key
	}
}

// discard deletes a removed job's objects. An idempotency key gives its next job
// the same id, so what has been stored since is not touched.
func (c *Coordinator) discard(ctx context.Context, rec schemas.Record, objects []objstore.Info) {
	for _, o := range objects {
		if rec.IdempotencyKey != "" {
			if now, err := c.store.Stat(ctx, o.Key); err != nil || !now.ModTime.Equal(o.ModTime) {
				continue
			}
		}
		if err := c.store.Delete(ctx, o.Key); err != nil {
			c.log.Warn("object of a removed job stays", "job", rec.ID, "object", o.Key, "err", err)
		}
	}
}
