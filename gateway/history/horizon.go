package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// What has left the bucket of jobs may come back: a server that was killed keeps, of what
// it was told to remove, now and then something that is on its disk still, in an older
// revision. Of a job in a page the page tells that it has ended. Of those that have
// gone from here, too, the tenant's horizon does.

type horizon struct {
	schemas.Horizon
	revision uint64
}

// takeHorizon takes note of a tenant's horizon, unless it is older than what is known.
func (x *index) takeHorizon(tenant string, h horizon) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.horizons == nil {
		x.horizons = map[string]horizon{}
	}
	if h.revision > x.horizons[tenant].revision {
		x.horizons[tenant] = h
	}
}

func (h *History) watchHorizon(tenant string, e jobqueue.Entry) {
	if e.Deleted {
		return // by nobody here
	}
	to, err := schemas.DecodeHorizon(e.Value)
	if err != nil {
		h.log.Error("horizon skipped", "tenant", tenant, "err", err)
		return
	}
	h.takeHorizon(tenant, horizon{to, e.Revision})
}

// Over reports whether a job that was created at an instant, in microseconds since
// the Unix epoch, has gone from history, or was removed before it came here: a
// record of it counts for nothing.
func (x *index) Over(tenant, id string, createdUS int64) bool {
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.horizons[tenant].Over(id, createdUS)
}

// Horizon is the tenant's, as it is known, and its revision; 0 if there is none.
func (x *index) Horizon(tenant string) (schemas.Horizon, uint64) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	h := x.horizons[tenant]
	return h.Horizon, h.revision
}

// Advance puts another horizon in the place of the tenant's of a revision;
// [ErrBehind] if somebody else has.
func (h *History) Advance(ctx context.Context, tenant string, to schemas.Horizon, known uint64) error {
	to.Version = schemas.HorizonVersion
	data, err := json.Marshal(to)
	if err != nil {
		return fmt.Errorf("encode horizon of %s: %w", tenant, err)
	}
	rev, err := h.bucket.Update(ctx, schemas.HorizonKey(tenant), data, known)
	if errors.Is(err, jobqueue.ErrConflict) {
		err = ErrBehind
	}
	if err != nil {
		return fmt.Errorf("advance horizon of %s: %w", tenant, err)
	}
	h.takeHorizon(tenant, horizon{to, rev})
	return nil
}
