package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// In history jobs expire together: a page is rewritten once all of its jobs are due,
// and not before, so the first of them stay a little longer than they need to.

// DuePages lists up to most pages of history in which something has expired.
func (c *Coordinator) DuePages(cut Cutoffs, most int) (due []history.Due) {
	for _, p := range c.history.Pages() {
		cut := cut.of(p.Tenant)
		outputs := p.Stored > 0 && before(p.EndedUS, cut.Outputs)
		records := before(p.EndedUS, cut.Records) && (p.Stored > 0 || p.PurgedUS == 0 || before(p.PurgedUS, cut.Purged))
		if outputs || records {
			if due = append(due, p); len(due) == most {
				return due
			}
		}
	}
	return due
}

// Surplus says for [Cutoffs.Surplus] what is too much if about most jobs of a tenant
// are kept in history; 0 keeps all.
func (c *Coordinator) Surplus(most int) map[string]time.Time {
	ended := c.history.Surplus(most)
	cut := make(map[string]time.Time, len(ended))
	for tenant, us := range ended {
		cut[tenant] = time.UnixMicro(us + 1)
	}
	return cut
}

// expiry is a page of history of which something expires.
type expiry struct {
	*Coordinator
	page history.Page
	// forget says that records may go: see [Coordinator.forgettable].
	forget bool
	// purged counts jobs whose outputs have expired; removed are those that go.
	purged  int
	removed []schemas.Record
	// markers keep the ids of those taken that idempotency keys may give again.
	markers map[string]uint64
}

// ExpirePage expires what is due in a page: outputs, and records. It returns how
// many of each. It is nobody's error if somebody else did.
func (c *Coordinator) ExpirePage(ctx context.Context, due history.Due, cut Cutoffs) (outputs, records int, err error) {
	x := &expiry{Coordinator: c, markers: map[string]uint64{}}
	x.page, err = c.history.Open(ctx, due.Tenant, due.Number)
	if errors.Is(err, history.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if x.forget, err = c.pageForgettable(ctx, x.page); err != nil || !x.judge(cut.of(due.Tenant)) {
		return 0, 0, err
	}
	if err := x.mark(ctx); err != nil {
		return 0, 0, err
	}
	switch err = c.history.Rewrite(ctx, x.page); {
	case errors.Is(err, history.ErrBehind):
		return 0, 0, nil // and whoever was faster may have kept some of these
	case err != nil:
		return 0, 0, err
	}
	c.later(x.release)
	return x.purged, len(x.removed), nil
}

// pageForgettable reports whether nothing but the page tells of its jobs, and it need not.
func (c *Coordinator) pageForgettable(ctx context.Context, p history.Page) (bool, error) {
	ids, last := make([]string, len(p.Jobs)), int64(0)
	for i, job := range p.Jobs {
		ids[i], last = job.Record.ID, max(last, job.Record.CreatedUS)
	}
	return c.forgettable(ctx, p.Tenant, last, ids...)
}

// judge decides about each job, and reports whether anything has expired.
func (x *expiry) judge(cut Cutoffs) bool {
	kept := x.page.Jobs[:0]
	for _, job := range x.page.Jobs {
		rec := job.Record
		outputs, record := dueOf(&rec, cut)
		switch {
		case !outputs && !record || x.Shared(rec.Tenant, rec.ID):
		case record && x.forget:
			x.removed = append(x.removed, rec)
			continue
		case record:
		default:
			job.Record.PurgedUS = x.cfg.Now().UnixMicro()
			x.purged++
		}
		kept = append(kept, job)
	}
	x.page.Jobs = kept
	return x.purged+len(x.removed) > 0
}

// mark takes the ids of the jobs that go which somebody may give to another job:
// until all objects of the first are gone, nobody gets them. See [Coordinator.remove].
func (x *expiry) mark(ctx context.Context) error {
	for _, rec := range x.removed {
		if rec.IdempotencyKey == "" {
			continue
		}
		key := schemas.RecordKey(rec.Tenant, rec.ID)
		marker, err := x.queue.Jobs.MarkFree(ctx, key)
		if errors.Is(err, jobqueue.ErrConflict) {
			var e jobqueue.Entry
			if e, err = x.queue.Jobs.Look(ctx, key); err == nil && (!e.Deleted || len(e.Value) > 0) {
				continue // it is another job's already
			}
			marker = e.Revision
		}
		if err != nil {
			return fmt.Errorf("remove job %s from history: %w", rec.ID, err)
		}
		x.markers[rec.ID] = marker
	}
	return nil
}

// release deletes the objects of jobs whose ids were taken, and frees those. All
// other objects are the next sweep's.
func (x *expiry) release(ctx context.Context) {
	var group errgroup.Group
	group.SetLimit(freesAtOnce)
	for _, rec := range x.removed {
		marker, taken := x.markers[rec.ID]
		if !taken {
			continue
		}
		group.Go(func() error {
			err := x.clear(ctx, rec)
			if err == nil {
				x.freed(rec.Tenant, specBytes(&rec)+resultBytes(&rec))
				err = x.Coordinator.release(ctx, &rec, marker)
			}
			if err != nil && !errors.Is(err, jobqueue.ErrConflict) {
				x.log.Warn("id of a job that has expired is not free before the next sweep", "job", rec.ID, "err", err)
			}
			return nil
		})
	}
	_ = group.Wait() // none of them fails
}
