package history

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// Due says when what a page has expires, in microseconds since the Unix epoch.
type Due struct {
	Tenant string
	Number uint64
	// EndedUS is when its last job ended; PurgedUS when outputs of one expired last, 0 for never.
	EndedUS, PurgedUS int64
	// Stored is how many of its jobs have outputs.
	Stored int
}

// Pages lists what all pages have that may expire.
func (x *index) Pages() (all []Due) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	for tenant, s := range x.tenants {
		for _, p := range s.pages {
			all = append(all, Due{tenant, p.number, p.endedLast, p.purgedLast, p.stored})
		}
	}
	return all
}

// Surplus says, for each tenant that has more than most jobs, when the last of a page
// ended that is too much, in microseconds since the Unix epoch: what ended later is most
// jobs or fewer, and more with one page. Without a bound, 0, nobody has too many.
func (x *index) Surplus(most int) map[string]int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	ended := map[string]int64{}
	for tenant, s := range x.tenants {
		total := 0
		for _, p := range s.pages {
			total += len(p.jobs)
		}
		if most > 0 && total > most {
			ended[tenant] = s.surplus(total - most)
		}
	}
	return ended
}

// surplus is when the last page ended of those that ended first and have so many jobs together.
func (s *shelf) surplus(jobs int) int64 {
	first := slices.SortedFunc(slices.Values(s.pages), func(a, b *page) int { return cmp.Compare(a.endedLast, b.endedLast) })
	for _, p := range first {
		if jobs -= len(p.jobs); jobs <= 0 {
			return p.endedLast
		}
	}
	return 0
}

// Since reads a tenant's jobs whose revision is after one, but for pages in which all
// ended before an instant in microseconds, page by page until each says no. It gives the
// revision after which to go on then: all with a lower one have been given. It is 0 if none is left.
func (h *History) Since(ctx context.Context, tenant string, after uint64, ended int64, each func(schemas.HistoryJob) bool) (resume uint64, err error) {
	pages := slices.DeleteFunc(h.after(tenant, after), func(p *page) bool { return p.endedLast < ended })
	for i, p := range pages {
		page, err := h.Open(ctx, tenant, p.number)
		switch {
		case errors.Is(err, ErrNotFound):
		case errors.Is(err, schemas.ErrHistoryPage):
			h.log.Error("page of history skipped", "err", err)
		case err != nil:
			return p.lowest - 1, err
		}
		goOn := true
		for _, job := range page.Jobs {
			if job.Revision > after {
				goOn = each(job) && goOn
			}
		}
		if !goOn && i+1 < len(pages) {
			return pages[i+1].lowest - 1, nil
		}
	}
	return 0, nil
}

// after lists pages with revisions after one, by their lowest.
func (x *index) after(tenant string, revision uint64) (pages []*page) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if s := x.tenants[tenant]; s != nil {
		for _, p := range s.pages {
			if p.above > revision+1 {
				pages = append(pages, p)
			}
		}
	}
	slices.SortFunc(pages, func(a, b *page) int { return cmp.Compare(a.lowest, b.lowest) })
	return pages
}
