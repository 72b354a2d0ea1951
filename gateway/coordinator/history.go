package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// A job's record leaves the bucket of jobs some time after the job's end: then it
// stands in a page of history, with hundreds of others. The page is written first, so
// for a moment a record is in both. What is in the bucket goes before it: only there
// can it still be changed.

// past finds a job that ended some time ago; [ErrNotFound] if there is none, which
// is asked of the bucket's leader.
func (c *Coordinator) past(ctx context.Context, tenant, job string) (schemas.HistoryJob, error) {
	at, found := c.history.Find(tenant, job)
	if !found {
		if err := c.history.CatchUp(ctx); err != nil {
			return schemas.HistoryJob{}, err
		}
		if at, found = c.history.Find(tenant, job); !found {
			return schemas.HistoryJob{}, fmt.Errorf("job %s: %w", job, ErrNotFound)
		}
	}
	return c.pastAt(ctx, at)
}

func (c *Coordinator) pastAt(ctx context.Context, at history.Place) (schemas.HistoryJob, error) {
	found, err := c.history.Read(ctx, at)
	if errors.Is(err, history.ErrNotFound) {
		err = fmt.Errorf("job %s: %w", at.Job, ErrNotFound)
	}
	return found, err
}

// Past reads a tenant's jobs in history that ended after an instant and whose
// revision is after one, until each says no. It gives the revision after which to go
// on then; 0 if none is left. What has left the bucket of jobs by now is among them.
func (c *Coordinator) Past(ctx context.Context, tenant string, after uint64, ended time.Time, each func(*schemas.Record, uint64) bool) (resume uint64, err error) {
	if err := c.history.CatchUp(ctx); err != nil {
		return after, err
	}
	return c.history.Since(ctx, tenant, after, ended.UnixMicro(), func(job schemas.HistoryJob) bool {
		return each(&job.Record, job.Revision)
	})
}

// watchHistory learns what is in history.
func (c *Coordinator) watchHistory(ctx context.Context) error {
	return c.history.Watch(ctx, c.page)
}

// page takes note of a page of history. Jobs whose ends the watch has not told of have
// ended while this gateway was cut off: it may tell of them no more.
func (c *Coordinator) page(p history.Page) {
	var missed []change
	if !c.history.Knows(p) {
		for _, job := range p.Jobs {
			if c.missed(job) {
				missed = append(missed, change{tenant: p.Tenant, rev: job.Revision, event: job.Record.Event(), page: p.Revision()})
			}
		}
	}
	c.move(p)
	switch {
	case len(missed) == 0:
	case c.state.isLoaded():
		c.later(func(ctx context.Context) { c.tellMissed(ctx, missed) })
	default:
		c.changes.before(missed)
	}
}

// move takes the jobs of a page from the index into history.
func (c *Coordinator) move(p history.Page) {
	c.moving.Lock()
	defer c.moving.Unlock()
	c.history.Learn(p)
	for _, job := range p.Jobs {
		c.state.shelve(schemas.RecordKey(p.Tenant, job.Record.ID), job.Revision)
	}
}

// missed has everybody hear of a job's end who has not; false if all have.
func (c *Coordinator) missed(job schemas.HistoryJob) bool {
	rec, key := job.Record, schemas.RecordKey(job.Record.Tenant, job.Record.ID)
	switch known, told := c.state.knows(key); {
	case known > job.Revision || known == job.Revision && told:
		return false
	case known == job.Revision: // read or written here, and not told yet
	case known > 0:
		c.learn(rec, job.Revision)
	default:
		if c.state.meet(&rec) {
			c.settleLater(rec.Tenant, rec.ID)
		}
	}
	c.cfg.OnEnded(rec, job.Revision, false)
	return true
}

// tellMissed tells those who follow events of ends of which the watch will not tell
// any more, once that has passed them.
func (c *Coordinator) tellMissed(ctx context.Context, missed []change) {
	if err := c.CatchUp(ctx); err != nil && !c.isStopped() {
		c.log.Warn("events of jobs that ended while the queue was away are late", "err", err)
		pause(ctx, keepPause)
		c.later(func(ctx context.Context) { c.tellMissed(ctx, missed) })
		return
	}
	c.changes.late(missed)
}

func markOf(rec *schemas.Record) history.Mark {
	return history.Mark{CreatedUS: rec.CreatedUS, ID: rec.ID}
}

// meet takes note of a job that this gateway first hears of when it is in history,
// and reports whether others wait for its result.
func (s *state) meet(rec *schemas.Record) (followed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account("", rec)
	return len(s.followers[schemas.RecordKey(rec.Tenant, rec.ID)]) > 0
}

// shelve takes a job out of the index that is in history as of a revision; not one
// that has changed since.
func (s *state) shelve(key string, rev uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.jobs[key]
	if e == nil || e.rev > rev {
		return
	}
	if !e.state().Terminal() { // it was back, in an older revision: see package history
		s.drop(e, rev)
		return
	}
	t := s.tenant(tenantOf(key))
	t.campaigns.leave(e)
	s.onState(e.state(), "")
	s.retain(e, &schemas.Record{State: schemas.StateDead})
	t.hit(e, false)
	delete(s.jobs, key)
	t.remove(e)
}

// told takes note that the watch has told of a record.
func (s *state) told(key string, rev uint64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.jobs[key]; e != nil && e.rev == rev {
		e.told = true
	}
}

// knows is the revision that is known of a job, 0 for none, and whether the watch
// has told of it.
func (s *state) knows(key string) (rev uint64, told bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.jobs[key]; e != nil {
		return e.rev, e.told
	}
	return 0, false
}

// errPast: what is in history is not changed there.
var errPast = errors.New("the job ended some time ago")

// get reads a record from the bucket's leader, or from history: past says so.
func (c *Coordinator) get(ctx context.Context, tenant, job string) (rec schemas.Record, rev uint64, past bool, err error) {
	key := schemas.RecordKey(tenant, job)
	known := c.state.revision(key)
	e, err := c.queue.Jobs.Get(ctx, key)
	if err == nil {
		rec, err = c.decode(key, e)
		if err != nil || !c.state.over(&rec, e.Revision) {
			return rec, e.Revision, false, err
		}
		c.leftOver(&rec, e.Revision)
	} else if !errors.Is(err, jobqueue.ErrNotFound) {
		return rec, 0, false, err
	}
	found, err := c.past(ctx, tenant, job)
	if isNotFound(err) {
		c.readGone(tenant, job, known)
	}
	return found.Record, found.Revision, true, err
}
