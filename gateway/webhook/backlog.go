package webhook

import (
	"context"
	"slices"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// notice is an end that a target is yet to be told of.
type notice struct {
	rec *schemas.Record
	// target is a webhook's id; empty for the job's callback.
	target string
}

func (n notice) id() string {
	if n.target == "" {
		return deliveryID(n.rec, callbackTarget)
	}
	return deliveryID(n.rec, n.target)
}

func (n notice) key() string { return schemas.RecordKey(n.rec.Tenant, n.id()) }

// backlog holds notices whose deliveries are yet to be created, and gives them
// out tenant by tenant. It may be thrown away: the records are still there.
type backlog struct {
	mu      sync.Mutex
	tenants map[string][]notice
	turns   []string // tenants with notices, the next one first
	woken   chan struct{}
}

func newBacklog() *backlog {
	return &backlog{tenants: map[string][]notice{}, woken: make(chan struct{}, 1)}
}

func (b *backlog) add(n notice) {
	b.mu.Lock()
	tenant := n.rec.Tenant
	if len(b.tenants[tenant]) == 0 {
		b.turns = append(b.turns, tenant)
	}
	b.tenants[tenant] = append(b.tenants[tenant], n)
	b.mu.Unlock()
	b.wake()
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

func (b *backlog) size() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := 0
	for _, list := range b.tenants {
		n += len(list)
	}
	return n
}
