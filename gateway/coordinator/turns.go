package coordinator

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// turns let few at once do what costs everybody: one of each tenant, and a few of
// all tenants. Who waits is served in order.
type turns struct {
	all     *semaphore.Weighted
	mu      sync.Mutex
	tenants map[string]*tenantTurn
}

type tenantTurn struct {
	one *semaphore.Weighted
	// users are who has it or waits for it.
	users int
}

func newTurns(all int64) *turns {
	return &turns{all: semaphore.NewWeighted(all), tenants: map[string]*tenantTurn{}}
}

// take waits for a tenant's turn, until ctx ends. done ends it.
func (t *turns) take(ctx context.Context, tenant string) (done func(), err error) {
	own := t.enter(tenant)
	if err := own.one.Acquire(ctx, 1); err != nil {
		t.leave(tenant, own)
		return nil, err
	}
	if err := t.all.Acquire(ctx, 1); err != nil {
		own.one.Release(1)
		t.leave(tenant, own)
		return nil, err
	}
	return func() {
		t.all.Release(1)
		own.one.Release(1)
		t.leave(tenant, own)
	}, nil
}

func (t *turns) enter(tenant string) *tenantTurn {
	t.mu.Lock()
	defer t.mu.Unlock()
	own := t.tenants[tenant]
	if own == nil {
		own = &tenantTurn{one: semaphore.NewWeighted(1)}
		t.tenants[tenant] = own
	}
	own.users++
	return own
}

func (t *turns) leave(tenant string, own *tenantTurn) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if own.users--; own.users == 0 {
		delete(t.tenants, tenant)
	}
}
