package coordinator

import (
	"context"

	"github.com/program-explorer/pe/gateway/history"
	"github.com/program-explorer/pe/schemas"
)

// campaigns counts a tenant's jobs in the index that belong to one: it is no larger
// than the index. History counts those that it has by itself, so that nobody who
// asks for counts reads a record.
type campaigns map[string]*campaignJobs

// stateCodes is how many states there may be.
const stateCodes = 8

// campaignJobs are those of one.
type campaignJobs struct {
	// states are how many jobs are in each, by its place in [schemas.States].
	states [stateCodes]int32
	// newest is the highest revision that one of them has had.
	newest uint64
}

// enter counts a job as it is now.
func (c campaigns) enter(e *entry) {
	name, ok := e.labels[schemas.LabelCampaign]
	if !ok || e.code == 0 {
		return
	}
	jobs := c[name]
	if jobs == nil {
		jobs = &campaignJobs{}
		c[name] = jobs
	}
	jobs.states[e.code-1]++
	jobs.newest = max(jobs.newest, e.rev)
}

// leave takes a job out that was counted as it still is.
func (c campaigns) leave(e *entry) {
	name, ok := e.labels[schemas.LabelCampaign]
	if !ok || e.code == 0 {
		return
	}
	jobs := c[name]
	if jobs.states[e.code-1]--; jobs.states == [stateCodes]int32{} {
		delete(c, name)
	}
}

// Unfinished is how many jobs of a tenant's campaign have not ended, as far as is
// known here.
func (c *Coordinator) Unfinished(tenant, campaign string) (n int) {
	for i, jobs := range c.state.campaign(tenant, campaign).states {
		if jobs > 0 && !schemas.States[i].Terminal() {
			n += int(jobs)
		}
	}
	return n
}

// CampaignJobs counts a campaign's jobs by state, as far as they are known here. It
// asks nobody. [ErrLoading].
func (c *Coordinator) CampaignJobs(tenant, campaign string) (map[schemas.State]int, error) {
	counts, _, err := c.campaignJobs(tenant, campaign)
	return counts, err
}

// SettledCampaignJobs counts a campaign's jobs as they were at a revision of the
// jobs, not before the call: all that were written up to there, and none of later.
func (c *Coordinator) SettledCampaignJobs(ctx context.Context, tenant, campaign string) (counts map[schemas.State]int, upTo uint64, err error) {
	for {
		// The number that the last write got: its record may have left the bucket.
		if upTo, err = c.queue.Jobs.LastRevision(ctx); err != nil {
			return nil, 0, err
		}
		if err = c.CatchUp(ctx); err != nil {
			return nil, 0, err
		}
		counts, newest, err := c.campaignJobs(tenant, campaign)
		if err != nil || newest <= upTo {
			return counts, upTo, err
		}
	}
}

// campaignJobs gives a revision, too, after which none of them was written.
func (c *Coordinator) campaignJobs(tenant, campaign string) (counts map[schemas.State]int, newest uint64, err error) {
	if !c.state.isLoaded() {
		return nil, 0, ErrLoading
	}
	jobs, past := c.campaignKnown(tenant, campaign)
	counts = map[schemas.State]int{}
	for i, n := range jobs.states {
		if n > 0 {
			counts[schemas.States[i]] = int(n)
		}
	}
	return counts, max(jobs.newest, past.Campaign(campaign, counts)), nil
}

// campaignKnown gives a campaign's jobs in the index, and what is in history beside them: no
// page comes meanwhile, of which jobs would be in both or in neither.
func (c *Coordinator) campaignKnown(tenant, campaign string) (campaignJobs, history.Snapshot) {
	c.moving.Lock()
	defer c.moving.Unlock()
	return c.state.campaign(tenant, campaign), c.history.Snapshot(tenant)
}

// campaign gives a campaign's jobs in the index.
func (s *state) campaign(tenant, name string) (jobs campaignJobs) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t := s.tenants[tenant]; t != nil && t.campaigns[name] != nil {
		jobs = *t.campaigns[name]
	}
	return jobs
}
