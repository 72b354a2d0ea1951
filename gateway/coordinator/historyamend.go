package coordinator

import (
	"context"
	"errors"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/schemas"
)

// A record may change once more between the writing of its page and its leaving of the
// bucket: its outputs expire. What is in the bucket is right then, and the page is put
// right, as no job may stand in two.

// amend puts pages right that have some of the jobs as they were before, and returns those that
// are in none. What could not be amended stays in the bucket, for the next round.
func (c *Coordinator) amend(ctx context.Context, tenant string, jobs []schemas.HistoryJob) (rest []schemas.HistoryJob) {
	for _, job := range jobs {
		at, found := c.history.Find(tenant, job.Record.ID)
		if !found {
			rest = append(rest, job)
			continue
		}
		if err := c.amendOne(ctx, at, job); err != nil && ctx.Err() == nil {
			c.log.Warn("record stays in the bucket of jobs for now", "job", job.Record.ID, "err", err)
		}
	}
	return rest
}

func (c *Coordinator) amendOne(ctx context.Context, at history.Place, job schemas.HistoryJob) error {
	page, err := c.history.OpenAt(ctx, at)
	if err != nil {
		return err
	}
	for i, was := range page.Jobs {
		switch {
		case was.Record.ID != job.Record.ID:
		case was.Record.CreatedUS != job.Record.CreatedUS:
			return c.takeOut(ctx, &was.Record) // the same key's, made long after, and cancelled before anybody claimed it
		case was.Revision < job.Revision:
			page.Jobs[i] = job
			if err := c.history.Rewrite(ctx, page); errors.Is(err, history.ErrBehind) {
				return c.history.CatchUp(ctx)
			} else if err != nil {
				return err
			}
			c.move(page)
			c.freeAll(ctx, []schemas.HistoryJob{job}, freesAtOnce)
		}
	}
	return nil
}
