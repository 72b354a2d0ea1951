package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"

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
	case stop == nil:
		return rec, nil, nil, fmt.Errorf("job %s: %w", job, ErrNotFound) // deleted in this moment
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
type Filter struct {
	States []schemas.State
	Labels map[string]string
}

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
		return nil, "", errLoading
	}
	f.States = slices.Compact(slices.Sorted(slices.Values(f.States)))
	ids, next, err := c.state.page(tenant, f, after, limit)
	if err != nil {
		return nil, "", err
	}
	recs = make([]schemas.Record, len(ids))
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(listReads)
	for i, id := range ids {
		group.Go(func() (err error) {
			if rec, _, ok := c.state.live(schemas.RecordKey(tenant, id)); ok {
				recs[i] = rec
				return nil
			}
			if recs[i], _, err = c.read(gctx, tenant, id); isNotFound(err) {
				return nil // deleted since
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, "", fmt.Errorf("list jobs: %w", err)
	}
	return slices.DeleteFunc(recs, func(r schemas.Record) bool { return r.ID == "" }), next, nil
}

const listReads = 16

func (s *state) page(tenant string, f Filter, after string, limit int) (ids []string, next string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		return nil, "", nil
	}
	end := len(t.ordered)
	if after != "" {
		from, err := parseCursor(after)
		if err != nil {
			return nil, "", err
		}
		end, _ = slices.BinarySearchFunc(t.ordered, from, byCreation)
	}
	for i := end - 1; i >= 0; i-- {
		e := t.ordered[i]
		if end-1-i == maxScan {
			return ids, cursor(t.ordered[i+1]), nil
		}
		if e.gone || !f.selects(e) {
			continue
		}
		if len(ids) == limit {
			return ids, next, nil
		}
		ids = append(ids, e.id())
		next = cursor(e)
	}
	return ids, "", nil
}

func cursor(e *entry) string { return strconv.FormatInt(e.created, 10) + "." + e.id() }

func parseCursor(s string) (*entry, error) {
	created, id, ok := strings.Cut(s, ".")
	at, err := strconv.ParseInt(created, 10, 64)
	if !ok || err != nil || !schemas.ValidJobID(id) {
		return nil, ErrCursor
	}
	return &entry{created: at, key: "." + id}, nil
}

func (f Filter) selects(e *entry) bool { return f.has(e.state(), e.labels) }

func (f Filter) has(state schemas.State, labels map[string]string) bool {
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
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	counts := map[schemas.State]int{}
	for name, t := range c.state.tenants {
		if tenant != "" && name != tenant {
			continue
		}
		for e := range t.all() {
			counts[e.state()]++
		}
	}
	return counts
}
