package webhook

import (
	"context"
	"sync"

	"golang.org/x/sync/semaphore"
)

// slots bound the requests under way, of each tenant and of all. Who waits is
// served in turn, and a tenant whose receivers hang holds no more than its own.
type slots struct {
	all       *semaphore.Weighted
	perTenant int64
	mu        sync.Mutex
	tenants   map[string]*semaphore.Weighted
}

func newSlots(perTenant, all int) *slots {
	return &slots{all: semaphore.NewWeighted(int64(all)), perTenant: int64(perTenant), tenants: map[string]*semaphore.Weighted{}}
}

func (s *slots) tenant(name string) *semaphore.Weighted {
	s.mu.Lock()
	defer s.mu.Unlock()
	own := s.tenants[name]
	if own == nil {
		own = semaphore.NewWeighted(s.perTenant)
		s.tenants[name] = own
	}
	return own
}

// acquire waits for a slot of the tenant, then for one of all.
func (s *slots) acquire(ctx context.Context, tenant string) (release func(), err error) {
	own := s.tenant(tenant)
	if err := own.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	if err := s.all.Acquire(ctx, 1); err != nil {
		own.Release(1)
		return nil, err
	}
	return func() { s.all.Release(1); own.Release(1) }, nil
}
