package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// The watch tells of a deletion by its marker. One that a sweep has dropped before
// this gateway saw it, as it was cut off, leaves a job in its index that is gone.
// Reading such a job mends that; an audit reads those of which the bucket has no key.
// It also frees the keys of jobs that are over, and are in no index therefore.

// auditLook is how often a gateway looks whether an audit is due: it is after a new connection.
const auditLook = time.Minute

func (c *Coordinator) auditEvery(ctx context.Context) error {
	epoch, last := c.queue.Epoch(), c.cfg.Now()
	for pause(ctx, min(c.cfg.Audit, auditLook)) {
		now, connection := c.cfg.Now(), c.queue.Epoch()
		if connection == epoch && now.Sub(last) < c.cfg.Audit || !c.state.isLoaded() {
			continue
		}
		gone, err := c.audit(ctx)
		if err != nil { // and is still due
			c.log.Warn("jobs not audited; trying again", "err", err)
			continue
		}
		if epoch, last = connection, now; gone > 0 {
			c.log.Warn("jobs were gone that this gateway had not heard of", "jobs", gone)
		}
	}
	return nil
}

// audit takes the jobs out of the index that are gone, and returns how many.
func (c *Coordinator) audit(ctx context.Context) (gone int, err error) {
	upTo := c.state.seen.Load()
	var left []string // in the bucket, and in no index
	err = c.queue.Jobs.Keys(ctx, func(e jobqueue.Entry) {
		if !e.Deleted && !c.state.list(e.Key) && e.Revision <= upTo && len(left) < maxScan {
			left = append(left, e.Key)
		}
	})
	if err != nil {
		return 0, err
	}
	if err := c.freeOver(ctx, left); err != nil {
		return 0, err
	}
	for _, tenant := range c.state.tenantNames() {
		for from, more := (*entry)(nil), true; more; {
			var missed []string
			missed, from, more = c.state.unlisted(tenant, from, upTo)
			for _, job := range missed {
				if _, _, err := c.read(ctx, tenant, job); isNotFound(err) {
					gone++
				} else if err != nil {
					return gone, err
				}
			}
		}
	}
	return gone, nil
}

// freeOver frees those of the keys whose records are of jobs that are over: whoever
// moved one died before it was free, or it is back.
func (c *Coordinator) freeOver(ctx context.Context, keys []string) error {
	var over []schemas.HistoryJob
	for _, key := range keys {
		e, err := c.queue.Jobs.Get(ctx, key)
		if errors.Is(err, jobqueue.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if rec, err := decodeRecord(key, e.Value); err == nil && c.state.over(&rec, e.Revision) {
			over = append(over, schemas.HistoryJob{Revision: e.Revision, Record: rec})
		}
	}
	c.freeAll(ctx, over, freesAtOnce)
	return nil
}

// list takes note that a key is there; false if the job is not in the index.
func (s *state) list(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.jobs[key]
	if e != nil {
		e.listed = true
	}
	return e != nil
}

// unlisted looks at up to maxScan jobs of a tenant that were created after one, or
// at the first of all. It gives those that were not listed, though they are of a
// revision up to upTo, and the last that it looked at.
func (s *state) unlisted(tenant string, from *entry, upTo uint64) (jobs []string, last *entry, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenant(tenant)
	begin := t.after(from)
	end := min(begin+maxScan, len(t.ordered))
	for _, e := range t.ordered[begin:end] {
		if !e.gone && !e.listed && e.rev <= upTo {
			jobs = append(jobs, e.id())
		}
		e.listed = false
	}
	if end == len(t.ordered) {
		return jobs, nil, false
	}
	return jobs, t.ordered[end-1], true
}

// revision is that of what is known of a job, 0 for nothing.
func (s *state) revision(key string) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e := s.jobs[key]; e != nil {
		return e.rev
	}
	return 0
}

// readGone takes note that there was no record when one was read, after the index had known one of a revision.
func (c *Coordinator) readGone(tenant, job string, known uint64) {
	if known > 0 {
		c.forgotten(schemas.RecordKey(tenant, job), known+1)
	}
}
