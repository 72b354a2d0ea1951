package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/schemas"
)

// Get reads a job as it is now; [ErrNotFound].
func (c *Coordinator) Get(ctx context.Context, tenant, job string) (schemas.Record, error) {
	if !schemas.ValidToken(tenant) || !schemas.ValidJobID(job) {
		return schemas.Record{}, fmt.Errorf("job %.40q: %w", job, ErrNotFound)
	}
	rec, _, err := c.read(ctx, tenant, job)
	return rec, err
}

// Wait returns the job's record as soon as until says yes, or ctx's error with
// the last record that was seen.
func (c *Coordinator) Wait(ctx context.Context, tenant, job string, until func(schemas.Record) bool) (schemas.Record, error) {
	rec, h, stop, err := c.hear(ctx, tenant, job)
	if err != nil {
		return rec, err
	}
	defer stop()
	for !until(rec) {
		select {
		case <-ctx.Done():
			return rec, ctx.Err()
		case rec = <-h.newest:
		}
	}
	return rec, nil
}

// hear returns a job's record and whoever hears all that follow it. The record
// of a job that has not ended may be a moment old: then the next is on its way.
func (c *Coordinator) hear(ctx context.Context, tenant, job string) (schemas.Record, *hearer, func(), error) {
	key := schemas.RecordKey(tenant, job)
	if rec, h, stop := c.state.hear(key); rec != nil {
		return *rec, h, stop, nil
	} else if stop != nil {
		stop()
	}
	rec, err := c.Get(ctx, tenant, job) // the index knows the job from here on
	if err != nil {
		return rec, nil, nil, err
	}
	newer, h, stop := c.state.hear(key)
	switch {
	case stop == nil && rec.State.Terminal():
		return rec, &hearer{}, func() {}, nil // it ended some time ago
	case stop == nil:
		// It was deleted in this moment, or has ended and left the index.
		if rec, err = c.Get(ctx, tenant, job); err == nil && !rec.State.Terminal() {
			err = fmt.Errorf("job %s: %w", job, errContended)
		}
		return rec, &hearer{}, func() {}, err
	case newer != nil:
		return *newer, h, stop, nil
	case !rec.State.Terminal():
		// It ended in this moment.
		if rec, err = c.Get(ctx, tenant, job); err != nil {
			stop()
		}
	}
	return rec, h, stop, err
}

// Filter selects jobs: those in one of the states (any, if there are none) that
// have all of the labels.
type Filter = history.Filter

// MaxList bounds a page of jobs.
const MaxList = 500

// ErrCursor: the cursor of a list is none that a list gave.
var ErrCursor = errors.New("not a cursor of this list")

// maxScan is how many jobs are looked at for a page, with all others waiting.
const maxScan = 10_000

// List gives a page of a tenant's jobs, the newest first: up to limit (1 to
// [MaxList]) after the cursor. next is the cursor of the next page, empty on
// the last; a page before it may be short, or empty, if few jobs are selected.
func (c *Coordinator) List(ctx context.Context, tenant string, f Filter, after string, limit int) (recs []schemas.Record, next string, err error) {
	limit = min(max(limit, 1), MaxList)
	if !c.state.isLoaded() {
		return nil, "", ErrLoading
	}
	from := newest
	if after != "" {
		if from, err = parseCursor(after); err != nil {
			return nil, "", err
		}
	}
	// In this order: a job goes into history before it leaves the index.
	jobs := c.state.older(tenant, f, from, limit+1)
	jobs, next = jobs.merge(olderInHistory(c.history, tenant, f, from, limit+1)).page(limit)
	if recs, err = c.readListed(ctx, tenant, f, jobs.jobs); err != nil {
		return nil, "", fmt.Errorf("list jobs: %w", err)
	}
	return recs, next, nil
}

const listReads = 16

func (c *Coordinator) readListed(ctx context.Context, tenant string, f Filter, jobs []listed) ([]schemas.Record, error) {
	recs := make([]schemas.Record, len(jobs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listReads)
	for i, job := range jobs {
		group.Go(func() (err error) {
			switch rec, _, known := c.state.live(schemas.RecordKey(tenant, job.ID)); {
			case known:
				recs[i] = rec
			case job.past != nil:
				var found schemas.HistoryJob
				if found, err = c.pastAt(ctx, *job.past); history.HasLabels(&found.Record, f.Labels) {
					recs[i] = found.Record
				}
			default:
				recs[i], _, err = c.read(ctx, tenant, job.ID)
			}
			if isNotFound(err) {
				recs[i].ID, err = "", nil // deleted since
			}
			return err
		})
	}
	err := group.Wait()
	return slices.DeleteFunc(recs, func(r schemas.Record) bool { return r.ID == "" }), err
}

func cursor(m history.Mark) string { return strconv.FormatInt(m.CreatedUS, 10) + "." + m.ID }

func parseCursor(s string) (history.Mark, error) {
	created, id, ok := strings.Cut(s, ".")
	at, err := strconv.ParseInt(created, 10, 64)
	if !ok || err != nil || !schemas.ValidJobID(id) {
		return history.Mark{}, ErrCursor
	}
	return history.Mark{CreatedUS: at, ID: id}, nil
}

func selects(f Filter, e *entry) bool { return has(f, e.state(), e.labels) }

func has(f Filter, state schemas.State, labels map[string]string) bool {
	if len(f.States) > 0 && !slices.Contains(f.States, state) {
		return false
	}
	for k, v := range f.Labels {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// Counts is how many jobs of a tenant there are in each state; all tenants' for an empty one.
func (c *Coordinator) Counts(tenant string) map[schemas.State]int {
	c.moving.Lock()
	defer c.moving.Unlock()
	counts := c.state.counts(tenant)
	for _, name := range c.history.Tenants() {
		if tenant == "" || name == tenant {
			past, _ := c.history.Counts(name)
			for state, n := range past {
				counts[state] += n
			}
		}
	}
	return counts
}

func (s *state) counts(tenant string) map[schemas.State]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[schemas.State]int{}
	for name, t := range s.tenants {
		if tenant != "" && name != tenant {
			continue
		}
		for e := range t.all() {
			counts[e.state()]++
		}
	}
	return counts
}
