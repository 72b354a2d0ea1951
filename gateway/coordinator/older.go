package coordinator

import (
	"math"
	"slices"

	"github.com/program-explorer/pe/gateway/history"
)

// newest is after all jobs.
var newest = history.Mark{CreatedUS: math.MaxInt64}

// listed is a job in a list, by its place in the order.
type listed struct {
	history.Mark
	// past is where it is if that is history.
	past *history.Place
}

// older are jobs of a list, the newest first: all that were selected down to end.
type older struct {
	jobs []listed
	end  history.Mark
	// done says that none is left behind end.
	done bool
}

// older lists a tenant's jobs in the index that come before a mark: the first
// limit that the filter selects, looking at maxScan at most.
func (s *state) older(tenant string, f Filter, from history.Mark, limit int) older {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		return older{done: true}
	}
	begin, _ := slices.BinarySearchFunc(t.ordered, from, func(e *entry, m history.Mark) int { return e.mark().Compare(m) })
	var found older
	for i := begin - 1; i >= max(begin-maxScan, 0); i-- {
		e := t.ordered[i]
		found.end = e.mark()
		if e.gone || !selects(f, e) {
			continue
		}
		found.jobs = append(found.jobs, listed{Mark: found.end})
		if len(found.jobs) == limit {
			found.done = i == 0
			return found
		}
	}
	found.done = begin <= maxScan
	return found
}

func (e *entry) mark() history.Mark { return history.Mark{CreatedUS: e.created, ID: e.id()} }

func olderInHistory(h *history.History, tenant string, f Filter, from history.Mark, limit int) older {
	places, marks, end, done := h.Older(tenant, f, from, limit, maxScan)
	found := older{jobs: make([]listed, len(places)), end: end, done: done}
	for i := range places {
		found.jobs[i] = listed{marks[i], &places[i]}
	}
	return found
}

// merge puts two lists together, as far down as both are whole. Of a job that is in
// both, the one in o stays.
func (o older) merge(p older) older {
	merged := older{done: o.done && p.done, end: o.end}
	switch {
	case o.done:
		merged.end = p.end
	case !p.done && p.end.Compare(o.end) > 0:
		merged.end = p.end
	}
	merged.jobs = slices.Concat(o.jobs, p.jobs)
	slices.SortStableFunc(merged.jobs, func(a, b listed) int { return b.Compare(a.Mark) })
	merged.jobs = slices.CompactFunc(merged.jobs, func(a, b listed) bool { return a.Mark == b.Mark })
	if !merged.done {
		merged.jobs = slices.DeleteFunc(merged.jobs, func(l listed) bool { return l.Compare(merged.end) < 0 })
	}
	return merged
}

// page is the first limit jobs, and the cursor behind them, or behind all that were
// looked at; empty if none is left.
func (o older) page(limit int) (older, string) {
	if len(o.jobs) > limit {
		o.jobs = o.jobs[:limit]
		return o, cursor(o.jobs[limit-1].Mark)
	}
	if o.done {
		return o, ""
	}
	return o, cursor(o.end)
}
