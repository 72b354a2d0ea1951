package coordinator

import (
	"context"
	"fmt"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/schemas"
)

// campaigns counts the jobs that have not ended of each campaign of a tenant. Those
// that have ended are counted when somebody asks: so it is no larger than the queue.
type campaigns map[string]int

// count adds a job that has not ended, or removes it.
func (c campaigns) count(rec *schemas.Record, by int) {
	name, ok := rec.Labels[schemas.LabelCampaign]
	if !ok {
		return
	}
	if c[name] += by; c[name] == 0 {
		delete(c, name)
	}
}

// Unfinished is how many jobs of a tenant's campaign have not ended, as far as is
// known here. It looks at none of them.
func (c *Coordinator) Unfinished(tenant, campaign string) int {
	c.state.mu.Lock()
	defer c.state.mu.Unlock()
	if t := c.state.tenants[tenant]; t != nil {
		return t.campaigns[campaign]
	}
	return 0
}

// CampaignJobs counts a campaign's jobs by state. They are all that were written up
// to a revision of the jobs, and perhaps some of later.
func (c *Coordinator) CampaignJobs(ctx context.Context, tenant, campaign string) (counts map[schemas.State]int, upTo uint64, err error) {
	if !c.state.isLoaded() {
		return nil, 0, ErrLoading
	}
	filter := Filter{Labels: map[string]string{schemas.LabelCampaign: campaign}}
	counts = map[schemas.State]int{}
	upTo, past := c.countKnown(ctx, counts, tenant, filter)
	if err := ctx.Err(); err != nil {
		return nil, 0, err
	}
	if err := past.Tally(ctx, filter.Labels, counts); err != nil {
		return nil, 0, fmt.Errorf("count jobs of campaign %s: %w", campaign, err)
	}
	return counts, upTo, nil
}

// countKnown counts jobs in the index, and gives what is in history beside them: no
// page comes meanwhile, of which jobs would be in both or in neither.
func (c *Coordinator) countKnown(ctx context.Context, counts map[schemas.State]int, tenant string, f Filter) (upTo uint64, past history.Snapshot) {
	c.moving.Lock()
	defer c.moving.Unlock()
	upTo = c.state.seen.Load()
	for from, more := (*entry)(nil), true; more && ctx.Err() == nil; {
		from, more = c.state.tally(counts, tenant, f, from)
	}
	return upTo, c.history.Snapshot(tenant)
}

// tally counts those of up to maxScan jobs of a tenant that a filter selects, which
// were created after one, or are the first of all, and gives the last that it looked at.
func (s *state) tally(counts map[schemas.State]int, tenant string, f Filter, from *entry) (last *entry, more bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tenants[tenant]
	if t == nil {
		return nil, false
	}
	begin := t.after(from)
	end := min(begin+maxScan, len(t.ordered))
	for _, e := range t.ordered[begin:end] {
		if !e.gone && selects(f, e) {
			counts[e.state()]++
		}
	}
	if end == len(t.ordered) {
		return nil, false
	}
	return t.ordered[end-1], true
}
