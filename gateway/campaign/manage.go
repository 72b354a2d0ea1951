package campaign

import (
	"context"
	"errors"
	"fmt"
	"reflect"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Errors that callers branch on.
var (
	// ErrNotFound: the tenant has no such campaign.
	ErrNotFound = errors.New("no such campaign")
	// ErrDiffers: there is one of this name, made with another description or callback.
	ErrDiffers = errors.New("the campaign is there, with another description or callback")
	// ErrTooMany: the tenant has as many campaigns as it may have.
	ErrTooMany = fmt.Errorf("there are %d campaigns, and no more may be", schemas.MaxCampaigns)
	// ErrClosed: no more jobs are taken for the campaign.
	ErrClosed = errors.New("the campaign is closed")
	// ErrLoading: campaigns are still being read from the queue.
	ErrLoading = errors.New("campaigns are still being read from the queue")
	// errContended: others wrote the entry again and again.
	errContended = errors.New("entry is written by too many at once")
)

const maxTries = 20

// Create makes a campaign; created is false if it is there as it is asked for. The name
// and the specification are valid. [ErrDiffers], [ErrTooMany] or [ErrLoading]: of
// several gateways each may let one in that is too many.
func (c *Campaigns) Create(ctx context.Context, tenant, name string, s schemas.CampaignSpec) (_ schemas.Campaign, created bool, err error) {
	e := entry{Version: entryVersion, Tenant: tenant, Campaign: schemas.Campaign{Name: name, CampaignSpec: s, CreatedUS: c.cfg.Now().UnixMicro()}}
	e.Campaign.Advance()
	before, _, err := c.read(ctx, e.key())
	switch {
	case err == nil:
		return c.same(before, s)
	case !errors.Is(err, ErrNotFound):
		return schemas.Campaign{}, false, err
	case !c.isKnown():
		return schemas.Campaign{}, false, ErrLoading
	case !c.index.reserve(tenant, e.key(), schemas.MaxCampaigns):
		return schemas.Campaign{}, false, ErrTooMany
	}
	defer c.index.release(tenant, e.key()) // it is learned by then
	err = c.write(ctx, e, 0)
	if errors.Is(err, jobqueue.ErrConflict) { // another gateway made it in this moment
		if before, _, err = c.read(ctx, e.key()); err == nil {
			return c.same(before, s)
		}
	}
	return c.view(e), err == nil, err
}

func (c *Campaigns) same(e entry, s schemas.CampaignSpec) (schemas.Campaign, bool, error) {
	if !reflect.DeepEqual(e.Campaign.CampaignSpec, s) {
		return schemas.Campaign{}, false, ErrDiffers
	}
	return c.view(e), false, nil
}

// List gives a tenant's campaigns, the newest first, as far as is known here; [ErrLoading].
func (c *Campaigns) List(tenant string) ([]schemas.Campaign, error) {
	if !c.isKnown() {
		return nil, ErrLoading
	}
	var list []schemas.Campaign
	for _, k := range c.index.of(tenant) {
		list = append(list, c.view(k.entry))
	}
	return list, nil
}

// Get gives a campaign with the counts of its jobs; [ErrNotFound].
func (c *Campaigns) Get(ctx context.Context, tenant, name string) (schemas.Campaign, error) {
	e, _, err := c.read(ctx, schemas.CampaignKey(tenant, name))
	if err != nil {
		return schemas.Campaign{}, err
	}
	return c.counted(e)
}

// counted is what is told of a campaign, with its jobs as they are now if it has not ended.
func (c *Campaigns) counted(e entry) (_ schemas.Campaign, err error) {
	one := c.view(e)
	if !e.ended() {
		one.Jobs, err = c.jobs.CampaignJobs(e.Tenant, one.Name)
	}
	return one, err
}

func (c *Campaigns) view(e entry) schemas.Campaign {
	e.Campaign.Unfinished = c.jobs.Unfinished(e.Tenant, e.Campaign.Name)
	return e.Campaign
}

// Wait gives a campaign once it has ended, or as it is when ctx has; [ErrNotFound], also
// for one that was removed meanwhile.
func (c *Campaigns) Wait(ctx context.Context, tenant, name string) (schemas.Campaign, error) {
	key := schemas.CampaignKey(tenant, name)
	if e, rev, err := c.read(ctx, key); err != nil {
		return schemas.Campaign{}, err
	} else if c.learn(e, rev, false); e.ended() {
		return c.counted(e)
	}
	for {
		k, there, changed := c.index.lookup(key)
		switch {
		case !there:
			return schemas.Campaign{}, fmt.Errorf("campaign %s: %w", name, ErrNotFound)
		case k.ended() || ctx.Err() != nil:
			return c.counted(k.entry)
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
}

// Close says that no more jobs are expected; of a closed campaign that is said already. [ErrNotFound].
func (c *Campaigns) Close(ctx context.Context, tenant, name string) (schemas.Campaign, error) {
	for range maxTries {
		e, rev, err := c.read(ctx, schemas.CampaignKey(tenant, name))
		if err != nil || e.closed() {
			return c.view(e), err
		}
		e.Campaign.ClosedUS = max(c.cfg.Now().UnixMicro(), e.Campaign.CreatedUS)
		e.Campaign.Advance()
		if err = c.write(ctx, e, rev); !errors.Is(err, jobqueue.ErrConflict) {
			return c.view(e), err
		}
	}
	return schemas.Campaign{}, fmt.Errorf("close campaign %s: %w", name, errContended)
}

// Remove forgets a campaign, and none of its jobs. If it ends in this moment, that may
// be told, or not. [ErrNotFound].
func (c *Campaigns) Remove(ctx context.Context, tenant, name string) error {
	key := schemas.CampaignKey(tenant, name)
	for range maxTries {
		_, rev, err := c.read(ctx, key)
		if err == nil {
			err = c.retire(ctx, key, rev)
		}
		if !errors.Is(err, jobqueue.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("remove campaign %s: %w", name, errContended)
}

// Admit refuses, with [ErrClosed], a job whose labels say that it belongs to a campaign
// which is closed, as far as is known here.
func (c *Campaigns) Admit(tenant string, labels map[string]string) error {
	name, ok := labels[schemas.LabelCampaign]
	if !ok {
		return nil
	}
	if k, there, _ := c.index.lookup(schemas.CampaignKey(tenant, name)); there && k.closed() {
		return fmt.Errorf("campaign %s: %w", name, ErrClosed)
	}
	return nil
}

// read gets a campaign as it is now, from the bucket's leader.
func (c *Campaigns) read(ctx context.Context, key string) (entry, uint64, error) {
	w, err := c.bucket.Get(ctx, key)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return entry{}, 0, fmt.Errorf("campaign %s: %w", key, ErrNotFound)
	}
	if err != nil {
		return entry{}, 0, err
	}
	e, err := decode(key, w.Value)
	return e, w.Revision, err
}

// write puts a campaign in the place of what has the revision, 0 for nothing, and takes note of it.
func (c *Campaigns) write(ctx context.Context, e entry, rev uint64) error {
	data, err := e.encode()
	if err != nil {
		return err
	}
	if rev == 0 {
		rev, err = c.bucket.Create(ctx, e.key(), data)
	} else {
		rev, err = c.bucket.Update(ctx, e.key(), data, rev)
	}
	if err == nil {
		c.learn(e, rev, true)
	}
	return err
}

func (c *Campaigns) retire(ctx context.Context, key string, rev uint64) error {
	marker, err := c.bucket.Retire(ctx, key, rev)
	if err == nil {
		c.index.forget(key, marker)
	}
	return err
}
