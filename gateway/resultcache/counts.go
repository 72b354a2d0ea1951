package resultcache

import (
	"context"
	"errors"
	"sync"
	"time"
)

// MaxEntries bounds a tenant's entries. Each job that asks for another result has
// one, for as long as entries are kept, whatever becomes of the job.
const MaxEntries = 200_000

// ErrFull: the tenant has as many entries as it may.
var ErrFull = errors.New("the tenant has as many results in the cache as it may")

const (
	// recountPart of what a tenant may have is added here before its entries are
	// counted again: other gateways add some, too.
	recountPart = 20
	// recountPause is before the entries of a tenant are counted again that had as
	// many as it may: they age.
	recountPause = time.Minute
)

// counts are about how many entries tenants have. To count them is a request for
// what many jobs do, not for each.
type counts struct {
	most    int64
	mu      sync.Mutex
	tenants map[string]*count
}

type count struct {
	// found were there when they were counted, and added have been since, here.
	found, added int64
	at           time.Time // zero for never
	counting     bool
}

// add counts one entry more, or refuses it.
func (c *Cache) add(ctx context.Context, tenant string) error {
	if added, due := c.counts.due(tenant, c.now()); due {
		found, err := c.bucket.CountBelow(ctx, tenant) // of all epochs: all take room
		c.counts.learn(tenant, found, added, c.now(), err == nil)
		if err != nil {
			return err
		}
	}
	return c.counts.add(tenant)
}

func (c *counts) of(tenant string) *count {
	t := c.tenants[tenant]
	if t == nil {
		t = &count{}
		c.tenants[tenant] = t
	}
	return t
}

// due reports whether a tenant's entries are to be counted now, by who asks, and how
// many were added that such a count finds.
func (c *counts) due(tenant string, now time.Time) (added int64, due bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.of(tenant)
	full := t.found+t.added >= c.most && now.Sub(t.at) >= recountPause
	if t.counting || !t.at.IsZero() && t.added < max(c.most/recountPart, 1) && !full {
		return 0, false
	}
	t.counting = true
	return t.added, true
}

func (c *counts) learn(tenant string, found, added int64, at time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.of(tenant)
	if t.counting = false; ok {
		t.found, t.added, t.at = found, t.added-added, at
	}
}

func (c *counts) add(tenant string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.of(tenant)
	if t.found+t.added >= c.most {
		return ErrFull
	}
	t.added++
	return nil
}

// forget has a tenant's entries counted anew.
func (c *counts) forget(tenant string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.tenants, tenant)
}
