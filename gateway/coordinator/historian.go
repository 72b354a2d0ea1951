package coordinator

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

const (
	historyEvery = time.Second
	// keptAfterKey is how long a job stays whose id comes from an idempotency key,
	// since this gateway heard of its end: longer than a submission under that key can take which
	// has looked for the job before it was there. See [keyWindow].
	keptAfterKey = time.Minute
	// keptAfterEnd is how long any other one stays: who asks for a job mostly does so at its end.
	keptAfterEnd = 5 * time.Second
	// smallPage is how many jobs make a page once the first of them ended smallAfter ago.
	smallPage  = 32
	smallAfter = 24 * time.Hour
	// moveWithin bounds what may pass between choosing jobs and writing their page.
	moveWithin = 10 * time.Second
	// freesAtOnce is how many records leave the bucket at the same time, at most. Each is
	// a write of its own, and what is submitted waits for those before it.
	freesAtOnce = 16
)

// settled is a job that may go into history, as it is known.
type settled struct {
	key string
	rev uint64
}

// keepHistory moves jobs into history that ended some time ago. Every gateway does,
// and of two that move the same one is refused.
func (c *Coordinator) keepHistory(ctx context.Context) error {
	for pause(ctx, historyEvery) {
		if !c.state.isLoaded() || c.queue.Healthy() != nil {
			continue
		}
		tenants := c.state.tenantNames()
		for len(tenants) > 0 && ctx.Err() == nil { // a page for each in turn
			tenants = slices.DeleteFunc(tenants, func(tenant string) bool {
				moved, err := c.moveSome(ctx, tenant)
				if err != nil && ctx.Err() == nil {
					c.log.Warn("records stay in the bucket of jobs for now", "tenant", tenant, "err", err)
				}
				return !moved
			})
		}
	}
	return nil
}

// moveSome moves a page's worth of a tenant's jobs, if there is one.
func (c *Coordinator) moveSome(ctx context.Context, tenant string) (moved bool, err error) {
	begin := time.Now()
	picked, ready, number := c.choose(tenant)
	if len(picked) < schemas.MaxHistoryJobs && (len(picked) < smallPage || !c.state.endedBefore(picked[0], c.cfg.Now().Add(-smallAfter))) {
		return false, nil
	}
	jobs, err := c.readSettled(ctx, tenant, picked)
	if jobs = c.amend(ctx, tenant, jobs); err != nil || len(jobs) < smallPage || time.Since(begin) > moveWithin {
		return false, err
	}
	page, err := c.writePage(ctx, tenant, number, jobs)
	if errors.Is(err, history.ErrBehind) {
		return false, c.history.CatchUp(ctx) // another gateway was faster, most probably with the same
	}
	if err != nil {
		return false, err
	}
	c.page(page)
	c.metrics.shelved.Add(float64(len(page.Jobs)))
	c.freeAll(ctx, page.Jobs, freesFor(ready))
	return true, nil
}

// freesFor is how many records leave at the same time while so many are ready to: one
// for each page that they would fill. So they leave evenly, and as fast as they come.
func freesFor(ready int) int { return min(max(ready/schemas.MaxHistoryJobs, 1), freesAtOnce) }

// choose picks jobs for a page, and the number that it will have: if somebody else makes
// that meanwhile, it may be of the same jobs. It counts the jobs that are ready for one,
// up to as many as make a difference.
func (c *Coordinator) choose(tenant string) (picked []settled, ready int, number uint64) {
	c.moving.Lock()
	defer c.moving.Unlock()
	picked, ready = c.state.pickSettled(tenant, schemas.MaxHistoryJobs, freesAtOnce*schemas.MaxHistoryJobs)
	return picked, ready, c.history.Next(tenant)
}

// writePage writes as many of the jobs as one page has room for.
func (c *Coordinator) writePage(ctx context.Context, tenant string, number uint64, jobs []schemas.HistoryJob) (page history.Page, err error) {
	for {
		page, err = c.history.Write(ctx, tenant, number, jobs)
		if !errors.Is(err, schemas.ErrHistoryTooLarge) || len(jobs) == 1 {
			return page, err
		}
		jobs = jobs[:len(jobs)/2]
	}
}

// readSettled reads the records of jobs that are still as they were picked. Most were
// written one soon after the other, so they are read in one go.
func (c *Coordinator) readSettled(ctx context.Context, tenant string, picked []settled) ([]schemas.HistoryJob, error) {
	want, first := make(map[string]uint64, len(picked)), picked[0].rev
	for _, p := range picked {
		want[p.key] = p.rev
		first = min(first, p.rev)
	}
	var jobs []schemas.HistoryJob
	take := func(e jobqueue.Entry) {
		if rev, ok := want[e.Key]; !ok || rev != e.Revision {
			return
		}
		delete(want, e.Key)
		if rec, err := decodeRecord(e.Key, e.Value); err != nil {
			c.log.Error("record stays where it is", "err", err)
		} else if rec.State.Terminal() && rec.State != schemas.StateDead {
			jobs = append(jobs, schemas.HistoryJob{Revision: e.Revision, Record: rec})
		}
	}
	passed := 0
	err := c.queue.Jobs.Read(ctx, tenant, first-1, func(e jobqueue.Entry) bool {
		take(e)
		passed++
		return len(want) > 0 && passed < 4*len(picked)
	})
	for _, p := range picked {
		if _, left := want[p.key]; !left || err != nil {
			continue
		}
		var e jobqueue.Entry
		if e, err = c.queue.Jobs.Get(ctx, p.key); err == nil {
			take(e)
		} else if errors.Is(err, jobqueue.ErrNotFound) {
			err = nil
		}
	}
	return jobs, err
}

// freeAll takes records out of the bucket that stand in history. What stays,
// because the queue is away, is found by the next audit.
func (c *Coordinator) freeAll(ctx context.Context, jobs []schemas.HistoryJob, atOnce int) {
	var group errgroup.Group
	group.SetLimit(atOnce)
	for _, job := range jobs {
		group.Go(func() error {
			return c.queue.Jobs.Free(ctx, schemas.RecordKey(job.Record.Tenant, job.Record.ID), job.Revision)
		})
	}
	if err := group.Wait(); err != nil && ctx.Err() == nil {
		c.log.Warn("some records stay in the bucket of jobs until the next audit", "err", err)
	}
}

// pickSettled lists up to most of a tenant's jobs that ended long enough ago, the one
// first that did so first, and counts them, up to enough. What nobody has to look at any
// more leaves the line.
func (s *state) pickSettled(tenant string, most, enough int) (picked []settled, ready int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, now := s.tenant(tenant), s.elapsed()
	kept := t.ended[:0]
	for i, e := range t.ended {
		if ready == enough || i == maxScan {
			kept = append(kept, t.ended[i:]...)
			break
		}
		if st := e.state(); e.gone || !st.Terminal() || st == schemas.StateDead {
			continue
		}
		kept = append(kept, e)
		if !s.isSettled(e, now) {
			continue
		}
		if ready++; len(picked) < most {
			picked = append(picked, settled{e.key, e.rev})
		}
	}
	clear(t.ended[len(kept):])
	t.ended = kept
	return picked, ready
}

// isSettled reports whether an ended job may leave: it was told to all, and long enough ago.
func (s *state) isSettled(e *entry, now time.Duration) bool {
	age := keptAfterEnd
	if schemas.SplitJobID(e.id()).TimeMS == 0 {
		age = keptAfterKey
	}
	return now-e.heard >= age && e.told && len(s.followers[e.key]) == 0
}

// endedBefore reports whether a job did so before an instant.
func (s *state) endedBefore(p settled, at time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.jobs[p.key]
	return e != nil && e.ended < at.UnixMicro()
}

// elapsed is how long the coordinator has been there, by a clock that does not jump.
func (s *state) elapsed() time.Duration { return s.now().Sub(s.begun) }

func tenantOf(key string) string {
	tenant, _, _ := strings.Cut(key, ".")
	return tenant
}
