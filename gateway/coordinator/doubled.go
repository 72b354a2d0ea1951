package coordinator

import (
	"context"
	"errors"
	"strconv"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// A submission under an idempotency key looks for the key's job in the bucket and in
// history, and then creates its own on condition that the key is free. How long the
// looking may take is bounded; how long the creation is on its way to the server is
// not: a server that was stopped in between takes it minutes later, when the key's job
// may have ended and left the bucket. Nobody has been told of the job that this makes,
// but it would be run. So whoever claims it looks again.

// withdraw takes a queued job back that is in history, under the same id, and reports
// whether it was one. A true successor is in no page: the key was free only after its
// job had left history.
func (c *Coordinator) withdraw(ctx context.Context, tenant, job string) (bool, error) {
	if !schemas.ValidJobID(job) || schemas.SplitJobID(job).TimeMS != 0 {
		return false, nil
	}
	if _, found := c.history.Find(tenant, job); !found {
		return false, nil
	}
	if err := c.history.CatchUp(ctx); err != nil {
		return false, err
	}
	at, found := c.history.Find(tenant, job)
	if !found {
		return false, nil
	}
	first, err := c.pastAt(ctx, at)
	if isNotFound(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if c.history.Over(tenant, job, first.Record.CreatedUS) {
		return false, nil // its page may be back, which had gone before the key was used again
	}
	return true, c.takeOut(ctx, &first.Record)
}

// takeOut removes the record that stands in the bucket beside that of the job in history.
func (c *Coordinator) takeOut(ctx context.Context, first *schemas.Record) error {
	key := schemas.RecordKey(first.Tenant, first.ID)
	e, err := c.queue.Jobs.Get(ctx, key)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	second, err := decodeRecord(key, e.Value)
	if err != nil || second.State == schemas.StateRunning || len(second.Attempts) > 0 {
		return err
	}
	marker, err := c.queue.Jobs.Mark(ctx, key, e.Revision)
	if err != nil {
		return err
	}
	c.forgotten(key, marker)
	c.log.Warn("job taken back: its idempotency key had made one long before", "job", first.ID, "tenant", first.Tenant)
	return c.queue.Jobs.Leave(ctx, key, strconv.AppendInt(nil, int64(fence(first)), 10), marker)
}
