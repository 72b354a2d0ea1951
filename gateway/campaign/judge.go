package campaign

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

const (
	// judgeTimeout bounds one look, afterTrouble is a tenant's pause after one that failed.
	judgeTimeout = time.Minute
	afterTrouble = time.Second
	// judgedAtOnce bounds how many are looked at, one of each tenant.
	judgedAtOnce = 8
)

// JobEnded takes note of a terminal record and its revision. It never waits, and may be
// told of an end any number of times, by [coordinator.Config.OnEnded].
func (c *Campaigns) JobEnded(rec schemas.Record, rev uint64) {
	name, ok := rec.Labels[schemas.LabelCampaign]
	if !ok || rec.PurgedUS != 0 { // a record is written once more when its outputs expire: that is no end
		return
	}
	key := schemas.CampaignKey(rec.Tenant, name)
	if k, there := c.index.heard(key, rev); there && k.pending() && c.jobs.Unfinished(rec.Tenant, name) == 0 {
		c.due.add(rec.Tenant, key)
	}
}

// judgeAll ends campaigns that are due until ctx ends: those of a tenant one after the
// other, and those of several beside one another.
func (c *Campaigns) judgeAll(ctx context.Context) {
	look := time.NewTicker(c.cfg.Look)
	defer look.Stop()
	var judges sync.WaitGroup
	defer judges.Wait()
	turns := semaphore.NewWeighted(judgedAtOnce)
	for {
		for _, tenant := range c.due.unserved() {
			judges.Go(func() { c.judgeTenant(ctx, turns, tenant) })
		}
		select {
		case <-ctx.Done():
			return
		case <-c.due.woken:
		case <-look.C:
			for _, k := range c.index.all((*known).pending) {
				c.due.add(k.Tenant, k.key())
			}
		}
	}
}

// judgeTenant looks at what is due of a tenant until nothing is.
func (c *Campaigns) judgeTenant(ctx context.Context, turns *semaphore.Weighted, tenant string) {
	for key, ok := c.due.next(tenant); ok; key, ok = c.due.next(tenant) {
		if turns.Acquire(ctx, 1) != nil {
			return
		}
		err := c.judge(ctx, key)
		turns.Release(1)
		if err != nil && ctx.Err() == nil {
			c.log.Warn("campaign not ended yet", "campaign", key, "err", err)
			c.due.add(tenant, key)
			pause(ctx, afterTrouble)
		}
	}
}

// judge ends a closed campaign whose jobs have all ended. The order matters: once the
// campaign is read as closed, and then all records are known that there were, what is
// counted is what there is, but for submissions that were under way. The end of such
// a job brings the campaign here again, as that of a dead one does that was brought back. Whether
// an end was counted is told by its revision, whatever has expired meanwhile.
func (c *Campaigns) judge(ctx context.Context, key string) error {
	ctx, cancel := context.WithTimeout(ctx, judgeTimeout)
	defer cancel()
	k, there, _ := c.index.lookup(key)
	if !there || !k.pending() || c.jobs.Unfinished(k.Tenant, k.Campaign.Name) > 0 {
		return nil
	}
	e, rev, err := c.read(ctx, key)
	if now := (known{e, rev, k.last}); errors.Is(err, ErrNotFound) || err == nil && !now.pending() {
		return nil
	}
	if err != nil {
		return err
	}
	jobs, upTo, err := c.jobs.SettledCampaignJobs(ctx, e.Tenant, e.Campaign.Name)
	if err != nil || unfinished(jobs) {
		return err
	}
	e.end(c.cfg.Now().UnixMicro(), jobs, upTo)
	switch err = c.write(ctx, e, rev); {
	case err == nil:
		c.ends.Inc()
	case errors.Is(err, jobqueue.ErrConflict):
		c.due.add(e.Tenant, key) // another gateway did, or it was removed: the watch tells
		return nil
	}
	return err
}

func unfinished(jobs map[schemas.State]int) bool {
	for state := range jobs {
		if !state.Terminal() {
			return true
		}
	}
	return false
}

func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}
