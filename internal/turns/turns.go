// Package turns lets few at once do what costs everybody: some of each tenant, and
// some of all tenants together. It is no part of a job's life, and must not know
// what is done in a turn.
package turns

import (
	"context"
	"math"
	"sync"

	"golang.org/x/sync/semaphore"
)

// Unbounded is for all tenants together, where each one's bound is enough.
const Unbounded = math.MaxInt64

// Turns are taken before the work, and given back after it. Who waits is served in
// order, and a tenant that waits holds nothing that another could use. All
// methods are safe for concurrent use.
type Turns struct {
	each    int64
	every   *semaphore.Weighted
	mu      sync.Mutex
	tenants map[string]*own
}

// own are a tenant's turns.
type own struct {
	*semaphore.Weighted
	// users are who has one or waits for it.
	users int
}

// New lets each tenant have some turns at once, and all of them together all.
func New(each, all int64) *Turns {
	return &Turns{each: each, every: semaphore.NewWeighted(all), tenants: map[string]*own{}}
}

// Take waits for one of a tenant's turns, until ctx ends, whose error it then returns.
// done gives the turn back; it is called once.
func (t *Turns) Take(ctx context.Context, tenant string) (done func(), err error) {
	mine := t.enter(tenant)
	if err := mine.Acquire(ctx, 1); err != nil {
		t.leave(tenant, mine)
		return nil, err
	}
	if err := t.every.Acquire(ctx, 1); err != nil {
		mine.Release(1)
		t.leave(tenant, mine)
		return nil, err
	}
	return func() {
		t.every.Release(1)
		mine.Release(1)
		t.leave(tenant, mine)
	}, nil
}

func (t *Turns) enter(tenant string) *own {
	t.mu.Lock()
	defer t.mu.Unlock()
	mine := t.tenants[tenant]
	if mine == nil {
		mine = &own{Weighted: semaphore.NewWeighted(t.each)}
		t.tenants[tenant] = mine
	}
	mine.users++
	return mine
}

func (t *Turns) leave(tenant string, mine *own) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if mine.users--; mine.users == 0 {
		delete(t.tenants, tenant)
	}
}
