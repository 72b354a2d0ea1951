package campaign

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// index is what a gateway knows of all campaigns, derived from the bucket.
type index struct {
	mu      sync.Mutex
	entries map[string]known
	// tenants has the keys of each one's.
	tenants map[string]map[string]struct{}
	// making has, by tenant and key, how many requests are making a campaign just now.
	making map[string]map[string]int
	// early has, by key, the last ends of jobs that were heard of before all campaigns
	// were known; then it is nil.
	early map[string]uint64
	// seen is the newest revision that the watch has told of.
	seen uint64
	// changed is closed, and made anew, with every change.
	changed chan struct{}
}

// known is an entry and its revision.
type known struct {
	entry
	rev uint64
	// last is the revision of the newest end of one of its jobs that was heard of.
	last uint64
}

// pending says that the campaign is closed, and has not ended since its last job did.
func (k *known) pending() bool { return k.closed() && (!k.ended() || k.last > k.UpTo) }

func newIndex() *index {
	return &index{
		entries: map[string]known{}, tenants: map[string]map[string]struct{}{}, making: map[string]map[string]int{}, early: map[string]uint64{},
		changed: make(chan struct{}),
	}
}

// learn is false for what is not newer than what is known, or was deleted since it was read.
func (x *index) learn(e entry, rev uint64) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	key := e.key()
	before, there := x.entries[key]
	if there && before.rev >= rev || !there && rev <= x.seen {
		return false
	}
	if x.tenants[e.Tenant] == nil {
		x.tenants[e.Tenant] = map[string]struct{}{}
	}
	x.tenants[e.Tenant][key] = struct{}{}
	x.entries[key] = known{e, rev, max(before.last, x.early[key])}
	x.wake()
	return true
}

// heard takes note of the end of one of a campaign's jobs, and gives what is known of it.
func (x *index) heard(key string, end uint64) (k known, there bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k, there = x.entries[key]
	switch {
	case there && end > k.last:
		k.last = end
		x.entries[key] = k
	case !there && x.early != nil:
		x.early[key] = max(x.early[key], end)
	}
	return k, there
}

// loaded takes note that all campaigns are known that there were.
func (x *index) loaded() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.early = nil
}

// forget takes note that an entry was deleted, as of a revision.
func (x *index) forget(key string, rev uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k, there := x.entries[key]
	if !there || k.rev >= rev {
		return
	}
	delete(x.entries, key)
	if delete(x.tenants[k.Tenant], key); len(x.tenants[k.Tenant]) == 0 {
		delete(x.tenants, k.Tenant)
	}
	x.wake()
}

// saw takes note of how far the watch has told.
func (x *index) saw(rev uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.seen = max(x.seen, rev)
}

func (x *index) wake() {
	close(x.changed)
	x.changed = make(chan struct{})
}

// lookup gives what is known of a campaign, and a channel that is closed when anything changes.
func (x *index) lookup(key string) (k known, there bool, changed <-chan struct{}) {
	x.mu.Lock()
	defer x.mu.Unlock()
	k, there = x.entries[key]
	return k, there, x.changed
}

// reserve makes room for a campaign that is yet to be made, until it is released; false
// if its tenant has as many as may be, with those that others are making.
func (x *index) reserve(tenant, key string, most int) bool {
	x.mu.Lock()
	defer x.mu.Unlock()
	n := len(x.tenants[tenant])
	for other := range x.making[tenant] {
		if _, there := x.entries[other]; !there && other != key {
			n++
		}
	}
	if n >= most {
		return false
	}
	if x.making[tenant] == nil {
		x.making[tenant] = map[string]int{}
	}
	x.making[tenant][key]++
	return true
}

func (x *index) release(tenant, key string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	keys := x.making[tenant]
	if keys[key]--; keys[key] == 0 {
		delete(keys, key)
	}
	if len(keys) == 0 {
		delete(x.making, tenant)
	}
}

// all lists those of all tenants that are wanted, in no order.
func (x *index) all(wanted func(*known) bool) (list []known) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, k := range x.entries {
		if wanted(&k) {
			list = append(list, k)
		}
	}
	return list
}

// of lists a tenant's, the newest first.
func (x *index) of(tenant string) (list []known) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for key := range x.tenants[tenant] {
		list = append(list, x.entries[key])
	}
	slices.SortFunc(list, func(a, b known) int {
		return cmp.Or(cmp.Compare(b.Campaign.CreatedUS, a.Campaign.CreatedUS), strings.Compare(a.Campaign.Name, b.Campaign.Name))
	})
	return list
}
