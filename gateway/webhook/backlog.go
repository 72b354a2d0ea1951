package webhook

import (
	"context"
	"slices"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// notice is an end that a target is yet to be told of.
type notice struct {
	*ending
	// target is a webhook's id; empty for the callback.
	target string
}

func (n notice) id() string {
	if n.target == "" {
		return n.deliveryID(callbackTarget)
	}
	return n.deliveryID(n.target)
}

func (n notice) key() string { return schemas.RecordKey(n.tenant, n.id()) }

// backlog holds notices whose deliveries are yet to be created, each once, and gives
// them out tenant by tenant. Of a tenant with more than it holds it knows from which
// revision on the records are to be read again.
type backlog struct {
	most    int // notices of one tenant
	mu      sync.Mutex
	tenants map[string][]notice
	held    map[string]struct{} // keys of all notices
	turns   []string            // tenants with notices, the next one first
	behind  map[string]uint64   // tenant → the revision before the first that was left out
	woken   chan struct{}
}

func newBacklog(most int) *backlog {
	return &backlog{most: most, tenants: map[string][]notice{}, held: map[string]struct{}{}, behind: map[string]uint64{}, woken: make(chan struct{}, 1)}
}

// add is false if there was no room: then the tenant is behind.
func (b *backlog) add(n notice) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	tenant, key := n.tenant, n.key()
	if _, ok := b.held[key]; ok {
		return true
	}
	if len(b.tenants[tenant]) >= b.most && n.rev != 0 {
		b.leftOut(tenant, n.rev)
		return false
	}
	if len(b.tenants[tenant]) == 0 {
		b.turns = append(b.turns, tenant)
	}
	b.tenants[tenant] = append(b.tenants[tenant], n)
	b.held[key] = struct{}{}
	b.wake()
	return true
}

// lag has a tenant's records read again from a revision on.
func (b *backlog) lag(tenant string, rev uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.leftOut(tenant, rev)
}

func (b *backlog) leftOut(tenant string, rev uint64) {
	after := max(rev, 1) - 1
	if before, ok := b.behind[tenant]; ok {
		after = min(after, before)
	}
	b.behind[tenant] = after
}

// lagging are the tenants that are behind, as long as few of their notices are held.
func (b *backlog) lagging() (tenants []string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for tenant := range b.behind {
		if len(b.tenants[tenant]) <= b.most/2 {
			tenants = append(tenants, tenant)
		}
	}
	return tenants
}

// resume is after which revision a tenant's records are to be read; until
// something is left out again the tenant is not behind.
func (b *backlog) resume(tenant string) (after uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	after = b.behind[tenant]
	delete(b.behind, tenant)
	return after
}

func (b *backlog) wake() {
	select {
	case b.woken <- struct{}{}:
	default:
	}
}

// take waits for a notice of a tenant that has room; false when ctx has ended.
func (b *backlog) take(ctx context.Context, room func(tenant string) bool) (notice, bool) {
	for ctx.Err() == nil {
		if n, ok := b.next(room); ok {
			b.wake() // for whoever else waits
			return n, true
		}
		select {
		case <-ctx.Done():
		case <-b.woken:
		}
	}
	return notice{}, false
}

func (b *backlog) next(room func(string) bool) (notice, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, tenant := range b.turns {
		if !room(tenant) {
			continue
		}
		n := b.tenants[tenant][0]
		b.tenants[tenant][0] = notice{}
		delete(b.held, n.key())
		b.turns = slices.Delete(b.turns, i, i+1)
		if b.tenants[tenant] = b.tenants[tenant][1:]; len(b.tenants[tenant]) == 0 {
			delete(b.tenants, tenant)
		} else {
			b.turns = append(b.turns, tenant)
		}
		return n, true
	}
	return notice{}, false
}

// size is how many notices are held, and how many tenants have more.
func (b *backlog) size() (notices, behind int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.held), len(b.behind)
}
