package coordinator

import (
	"context"
	"errors"
	"fmt"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// ErrRemoving: the job that the idempotency key made is gone, and its objects
// are being deleted: until they are, the key can't be used again.
var ErrRemoving = errors.New("the job that the idempotency key belonged to is being removed")

// ErrNotEnded: only a job that has ended can be removed.
var ErrNotEnded = errors.New("the job has not ended")

// errChanged: the job is not as it was read.
var errChanged = errors.New("the job has changed meanwhile")

// remove deletes a job that has ended: first its record, by compare-and-set,
// then its objects, so that no record ever names what is not there. The deleted
// record leaves a marker, and with it nobody can make a job of the same id, which
// an idempotency key gives, until all objects are gone. If this process dies before
// that, a sweep deletes the objects. It drops the marker in any case.
//
// Of several that remove a job at once one gets to delete objects. errChanged if
// the job is not as rec has it any more.
func (c *Coordinator) remove(ctx context.Context, rec schemas.Record) error {
	now, rev, past, err := c.get(ctx, rec.Tenant, rec.ID)
	switch {
	case err != nil:
		return err
	case past:
		return errChanged // in history it expires by the page
	case !now.State.Terminal():
		return fmt.Errorf("remove job %s: %w", rec.ID, ErrNotEnded)
	case now.State != rec.State || now.EndedUS != rec.EndedUS:
		return fmt.Errorf("remove job %s: %w", rec.ID, errChanged)
	}
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	marker, err := c.queue.Jobs.Mark(ctx, key, rev)
	if errors.Is(err, jobqueue.ErrConflict) {
		err = errChanged
	}
	if err != nil {
		return fmt.Errorf("remove job %s: %w", rec.ID, err)
	}
	c.state.forget(key, marker)
	c.freed(now.Tenant, specBytes(&now)+resultBytes(&now))
	c.later(func(ctx context.Context) {
		if err := c.clear(ctx, now); err != nil {
			c.log.Warn("objects of a removed job stay until the next sweep", "job", rec.ID, "err", err)
			return
		}
		if err := c.release(ctx, &now, marker); err != nil {
			c.log.Warn("id of a removed job is not free before the next sweep", "job", rec.ID, "err", err)
		}
	})
	return nil
}

// clear deletes the objects of a removed job that its record knew of. They are
// named, not listed: a submission under the same key may have written its own
// specification already, beside them.
func (c *Coordinator) clear(ctx context.Context, rec schemas.Record) error {
	var keys []string
	if rec.SpecInline == nil {
		keys = append(keys, rec.SpecKey())
	}
	for n := range fence(&rec) { // of a job that was brought back, the first are not in its record
		for _, name := range schemas.AttemptObjects {
			keys = append(keys, schemas.AttemptKey(rec.Tenant, rec.ID, n+1, name))
		}
	}
	for _, key := range keys {
		if err := c.store.Delete(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// Remove deletes a job whose record has expired. It is nobody's error if
// somebody else did, or changed it.
func (c *Coordinator) Remove(ctx context.Context, tenant, job string) error {
	rec, err := c.Get(ctx, tenant, job)
	if err == nil {
		err = c.remove(ctx, rec)
	}
	if isNotFound(err) || errors.Is(err, errChanged) {
		return nil
	}
	return err
}

// errNothingStored: the job has no outputs that could expire.
var errNothingStored = errors.New("the job has no outputs")

// Purge notes in a job's record that its outputs have expired. Their objects
// are deleted by a later sweep: a submission that is just about to share this
// result, and has read the record before, must have written its own by then.
func (c *Coordinator) Purge(ctx context.Context, tenant, job string) error {
	_, err := c.change(ctx, tenant, job, func(rec *schemas.Record) error {
		if !rec.Stored() {
			return errNothingStored
		}
		rec.PurgedUS = c.cfg.Now().UnixMicro()
		return nil
	})
	if isNotFound(err) || errors.Is(err, errNothingStored) || errors.Is(err, errPast) {
		return nil // in history it expires by the page
	}
	return err
}

// Markers lists jobs that were removed, of which some may still have objects.
func (c *Coordinator) Markers(ctx context.Context) ([]jobqueue.Entry, error) {
	return c.queue.Jobs.Markers(ctx)
}

// Free drops the marker of a job whose objects are all gone, and reports whether it
// did: not while nothing else tells that there is no such job.
func (c *Coordinator) Free(ctx context.Context, marker jobqueue.Entry) (bool, error) {
	tenant, job, err := schemas.ParseRecordKey(marker.Key)
	if err != nil {
		return false, err
	}
	if ok, err := c.forgettable(ctx, tenant, marker.Written.UnixMicro(), job); !ok || err != nil {
		return false, err
	}
	return true, c.queue.Jobs.Free(ctx, marker.Key, marker.Revision)
}
