package coordinator

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/schemas"
)

// touched is a job and the revision of its newest record.
type touched struct {
	rev uint64
	id  string
}

// behind is what the reader has missed next, up to a revision: behindAtOnce jobs, or
// the last ones.
func (r *eventReader) behind(ctx context.Context, upTo uint64) ([]touched, error) {
	done, err := r.c.catchUps.Take(ctx, r.tenant)
	if err != nil {
		return nil, err
	}
	defer done()
	// In this order: a job goes into history before it leaves the index.
	first := r.c.state.changed(r.tenant, r.filter, r.at, upTo, behindAtOnce)
	for _, p := range r.c.history.Changed(r.tenant, r.filter, r.at, upTo, behindAtOnce) {
		first = append(first, touched{p.Revision, p.Job})
	}
	return firstTouched(first, behindAtOnce), nil
}

// firstTouched are the first so many, in their order, each once.
func firstTouched(all []touched, most int) []touched {
	slices.SortFunc(all, func(a, b touched) int { return cmp.Compare(a.rev, b.rev) })
	all = slices.Compact(all)
	return all[:min(len(all), most)]
}

// changed lists those of a tenant's jobs that the filter selects whose newest
// record has a revision after one and up to another: the first so many, in their
// order. It gives the lock back every maxScan jobs.
func (s *state) changed(tenant string, f Filter, after, upTo uint64, most int) (first []touched) {
	for from, more := (*entry)(nil), true; more; {
		first, from, more = s.changedFrom(first, tenant, f, after, upTo, from)
		if first = firstTouched(first, most); len(first) == most {
			upTo = first[most-1].rev
		}
	}
	return first
}

// changedFrom looks at the jobs that were created after one, or at the first of all.
func (s *state) changedFrom(all []touched, tenant string, f Filter, after, upTo uint64, from *entry) ([]touched, *entry, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		return all, nil, false
	}
	begin := t.after(from)
	end := min(begin+maxScan, len(t.ordered))
	for _, e := range t.ordered[begin:end] {
		if !e.gone && after < e.rev && e.rev <= upTo && selects(f, e) {
			all = append(all, touched{e.rev, e.id()})
		}
	}
	if end == len(t.ordered) {
		return all, nil, false
	}
	return all, t.ordered[end-1], true
}

// read returns the jobs' records as events; nil of one that has changed since,
// or is gone.
func (r *eventReader) read(ctx context.Context, jobs []touched) ([]*schemas.JobChange, error) {
	events := make([]*schemas.JobChange, len(jobs))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(eventReads)
	for i, job := range jobs {
		group.Go(func() error {
			rec, rev, known := r.c.state.live(schemas.RecordKey(r.tenant, job.id))
			if !known {
				var err error
				if rec, rev, err = r.c.read(ctx, r.tenant, job.id); isNotFound(err) {
					return nil
				} else if err != nil {
					return fmt.Errorf("read events: %w", err)
				}
			}
			if rev == job.rev {
				e := rec.Event()
				events[i] = &e
			}
			return nil
		})
	}
	return events, group.Wait()
}
