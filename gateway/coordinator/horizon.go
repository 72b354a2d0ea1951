package coordinator

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/schemas"
)

// horizonAfter is how long ago a job must have been created for a horizon to pass it:
// its record is known by then, if ever anybody is told of the job, also by a clock
// that is behind this one's.
const horizonAfter = time.Hour

// advanceAgain is how long a horizon stays once somebody has looked whether it can move.
const advanceAgain = time.Minute

// over reports whether a record is of a job that is over, though it may say otherwise:
// the job is in history as it was later, or has gone from there.
func (s *state) over(rec *schemas.Record, rev uint64) bool {
	if s.history == nil {
		return false
	}
	if _, found := s.history.Find(rec.Tenant, rec.ID); found {
		return s.history.Has(rec.Tenant, markOf(rec), rev)
	}
	return s.history.Over(rec.Tenant, rec.ID, rec.CreatedUS)
}

// leftOver frees the key of a record that is [state.over]: it was there before, and is
// back, or nobody freed it yet.
func (c *Coordinator) leftOver(rec *schemas.Record, rev uint64) {
	key := schemas.RecordKey(rec.Tenant, rec.ID)
	c.later(func(ctx context.Context) {
		if err := c.queue.Jobs.Free(ctx, key, rev); err != nil {
			c.log.Warn("record of a job that is over stays until the next audit", "job", rec.ID, "err", err)
		}
	})
}

// forgettable reports whether a tenant's jobs, all of them created before an instant in
// microseconds since the Unix epoch, are behind its horizon, which is moved if that
// helps: then nothing that tells of them is needed any more.
func (c *Coordinator) forgettable(ctx context.Context, tenant string, createdUS int64, ids ...string) (bool, error) {
	behind := func() bool {
		return !slices.ContainsFunc(ids, func(id string) bool { return !c.history.Over(tenant, id, createdUS) })
	}
	if behind() || !c.horizonDue(tenant) {
		return behind(), nil
	}
	if err := c.CatchUp(ctx); err != nil {
		return false, err
	}
	// In this order: what another gateway has written meanwhile is newer than what is known here.
	now, revision := c.history.Horizon(tenant)
	to := c.state.horizon(tenant, max(now.CreatedUS, c.cfg.Now().Add(-horizonAfter).UnixMicro())) // not back, if the clock is
	if err := c.history.Advance(ctx, tenant, to, revision); errors.Is(err, history.ErrBehind) {
		return false, c.history.CatchUp(ctx)
	} else if err != nil {
		return false, err
	}
	return behind(), nil
}

// horizonDue reports whether it is some time ago that a tenant's horizon was to be moved.
func (c *Coordinator) horizonDue(tenant string) bool {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	t, now := c.state.tenant(tenant), c.state.elapsed()
	if t.advanced != 0 && now-t.advanced < advanceAgain {
		return false
	}
	t.advanced = max(now, 1)
	return true
}

// horizon is as near to an instant as it can be: it spares the jobs in the index that
// were created before.
func (s *state) horizon(tenant string, createdUS int64) schemas.Horizon {
	s.mu.Lock()
	defer s.mu.Unlock()
	h := schemas.Horizon{CreatedUS: createdUS}
	for _, e := range s.tenant(tenant).ordered {
		switch {
		case e.created >= h.CreatedUS:
		case e.gone:
			continue
		case len(h.Spared) == schemas.MaxSpared:
			h.CreatedUS = e.created
		default:
			h.Spared = append(h.Spared, e.id())
			continue
		}
		break
	}
	slices.Sort(h.Spared)
	return h
}
