package coordinator

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// What package retention asks of the index. An answer may be old by a moment;
// what follows from it is then decided by a job's record.

// Cutoffs say what of a job has expired. A zero instant is never.
type Cutoffs struct {
	// Outputs of jobs that ended before expire.
	Outputs time.Time
	// Records of jobs that ended before expire.
	Records time.Time
	// Purged: a record goes only if its outputs expired before.
	Purged time.Time
	// Surplus are, by tenant, instants before which jobs in history ended that are
	// more than are kept: their records expire, too.
	Surplus map[string]time.Time
}

// of are those of one tenant.
func (cut Cutoffs) of(tenant string) Cutoffs {
	if surplus := cut.Surplus[tenant]; surplus.After(cut.Records) {
		cut.Records = surplus
	}
	return cut
}

// Due is a job of which something has expired: its record, or else its outputs.
type Due struct {
	Tenant, Job string
	Record      bool
}

// Due lists up to limit jobs of which something has expired.
func (c *Coordinator) Due(cut Cutoffs, limit int) []Due {
	var all []Due
	for _, tenant := range c.state.tenantNames() {
		for from, more := (*entry)(nil), true; more && len(all) < limit; {
			all, from, more = c.state.due(all, tenant, from, cut, limit)
		}
	}
	return all
}

func (s *state) tenantNames() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Collect(maps.Keys(s.tenants))
}

// due looks at up to maxScan jobs of a tenant that were created after one, or at
// the first of all, and gives the last that it looked at.
func (s *state) due(all []Due, tenant string, from *entry, cut Cutoffs, limit int) (_ []Due, last *entry, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenant(tenant)
	begin := t.after(from)
	end := min(begin+maxScan, len(t.ordered))
	for _, e := range t.ordered[begin:end] {
		if len(all) == limit {
			break
		}
		if e.gone {
			continue
		}
		if outputs, record := e.due(cut); (outputs || record) && s.origins[e.key] == 0 {
			all = append(all, Due{Tenant: tenant, Job: e.id(), Record: record})
		}
	}
	if end == len(t.ordered) {
		return all, nil, false
	}
	return all, t.ordered[end-1], true
}

// due says what of a job has expired. Nothing has while another one shares its
// result: that may have ended long after. The dead wait for somebody to decide.
func (e *entry) due(cut Cutoffs) (outputs, record bool) {
	if s := e.state(); !s.Terminal() || s == schemas.StateDead {
		return false, false
	}
	return cut.due(e.ended, e.purged(), e.stored)
}

// dueOf says the same of a job in history.
func dueOf(rec *schemas.Record, cut Cutoffs) (outputs, record bool) {
	return cut.due(rec.EndedUS, rec.PurgedUS, rec.Stored())
}

func (cut Cutoffs) due(ended, purged int64, stored bool) (outputs, record bool) {
	expired := before(ended, cut.Records)
	outputs = stored && (expired || before(ended, cut.Outputs))
	record = expired && !stored && (purged == 0 || before(purged, cut.Purged))
	return outputs, record
}

// before reports whether an instant in microseconds is; none is before never.
func before(us int64, at time.Time) bool { return !at.IsZero() && us < at.UnixMicro() }

// retain takes note of what of an ended job is kept, and where.
func (s *state) retain(e *entry, rec *schemas.Record) {
	e.ended, e.won, e.stored = rec.EndedUS, 0, rec.Stored()
	if rec.PurgedUS != e.purged() {
		e.have().purged = rec.PurgedUS
	}
	if rec.PurgedUS == 0 {
		e.won = int32(rec.Accepted())
	}
	if e.more != nil && e.more.origin != "" {
		origin := e.more.origin
		if s.origins[origin]--; s.origins[origin] == 0 {
			delete(s.origins, origin)
		}
		e.more.origin = ""
	}
	if rec.Source != nil && e.stored {
		origin := schemas.RecordKey(rec.Tenant, rec.Source.Job)
		e.have().origin = origin
		s.origins[origin]++
	}
}

// Shared reports whether another job has the result of this one.
func (c *Coordinator) Shared(tenant, job string) bool {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	return c.state.origins[schemas.RecordKey(tenant, job)] > 0 || c.history.Shared(tenant, job)
}

// Glance is what the index knows of a job.
type Glance struct {
	Ended bool
	// Won is the attempt whose outputs are kept, 0 for none.
	Won int
}

// Glance looks a job up; false for one that is not known.
func (c *Coordinator) Glance(tenant, job string) (Glance, bool) {
	if g, known := c.state.glance(schemas.RecordKey(tenant, job)); known {
		return g, true
	}
	won, known := c.history.Won(tenant, job)
	return Glance{Ended: true, Won: won}, known
}

func (s *state) glance(key string) (Glance, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.jobs[key]
	if e == nil {
		return Glance{}, false
	}
	return Glance{Ended: e.state().Terminal(), Won: int(e.won)}, true
}

// Needing lists the jobs that may still be run and were created before: those
// that have not ended, and the dead, which a person may bring back.
func (c *Coordinator) Needing(before time.Time) []schemas.Held {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	var all []schemas.Held
	for tenant, t := range c.state.tenants {
		for e := range t.all() {
			if e.created >= before.UnixMicro() {
				break // ordered by it
			}
			if !e.state().Terminal() || e.state() == schemas.StateDead {
				all = append(all, schemas.Held{Tenant: tenant, Job: e.id()})
			}
		}
	}
	return all
}

// SpecOf reads the specification of a job as it is now; [ErrNotFound] if there is
// no such job, or no specification, so that it can never run.
func (c *Coordinator) SpecOf(ctx context.Context, tenant, job string) (*schemas.JobSpec, error) {
	rec, _, known := c.state.live(schemas.RecordKey(tenant, job))
	if !known {
		var err error
		if rec, _, err = c.read(ctx, tenant, job); err != nil {
			return nil, err
		}
	}
	spec, err := c.spec(ctx, &rec)
	if errors.Is(err, errSpecGone) {
		err = fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return spec, err
}

const (
	catchUpPoll  = 5 * time.Millisecond
	catchUpAgain = time.Second
)

// CatchUp returns once the index and history know every record that was there when
// it was called: asked of the buckets' leaders.
func (c *Coordinator) CatchUp(ctx context.Context) error {
	for caughtUp := false; !caughtUp; {
		last, err := c.queue.Jobs.Last(ctx)
		if err != nil {
			return err
		}
		for until := time.Now().Add(catchUpAgain); !caughtUp && time.Now().Before(until); {
			if caughtUp = c.state.seen.Load() >= last && c.state.isLoaded(); !caughtUp && !pause(ctx, catchUpPoll) {
				return fmt.Errorf("catch up with revision %d of the jobs: %w", last, ctx.Err())
			}
		} // what was last then may have left the bucket before the watch came to it
	}
	// Afterwards: what has left the bucket of jobs meanwhile is there.
	return c.history.CatchUp(ctx)
}
