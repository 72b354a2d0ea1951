package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/program-explorer/pe/schemas"
)

// roomPatience is how long a request waits for room.
const roomPatience = 5 * time.Second

// room bounds the memory that requests of one sort take at this gateway, in bytes:
// those of each tenant, and of all. Those that wait have taken none.
type room struct {
	own      int64
	patience time.Duration
	// ownFull and allFull are the refusals.
	ownFull, allFull *schemas.ProblemDocument
	all              *semaphore.Weighted
	mu               sync.Mutex
	tenants          map[string]*tenantRoom
}

// tenantRoom is there while a request of the tenant has room or waits for it.
type tenantRoom struct {
	bytes *semaphore.Weighted
	users int
}

func newRoom(own, all int64, ownFull, allFull *schemas.ProblemDocument) *room {
	return &room{
		own: own, patience: roomPatience, ownFull: ownFull, allFull: allFull,
		all: semaphore.NewWeighted(all), tenants: map[string]*tenantRoom{},
	}
}

// enter waits for room, until leave is called. The tenant's own comes first, so
// that no tenant keeps the others waiting with more than its share.
func (b *room) enter(ctx context.Context, h http.Header, tenant string, weight int64) (leave func(), err error) {
	return b.take(ctx, b.patience, h, tenant, weight)
}

// tryEnter takes room if there is some now.
func (b *room) tryEnter(ctx context.Context, h http.Header, tenant string, weight int64) (leave func(), err error) {
	return b.take(ctx, 0, h, tenant, weight)
}

func (b *room) take(ctx context.Context, patience time.Duration, h http.Header, tenant string, weight int64) (leave func(), err error) {
	if weight == 0 {
		return func() {}, nil // nor does it wait behind others
	}
	weight = min(weight, b.own) // what is larger than all room has it alone
	own := b.use(tenant)
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if !acquire(wait, own.bytes, weight) {
		b.unuse(tenant)
		h.Set("Retry-After", "2")
		return nil, refusedRoom(ctx, b.ownFull)
	}
	leaveOwn := func() { own.bytes.Release(weight); b.unuse(tenant) }
	if !acquire(wait, b.all, weight) {
		leaveOwn()
		return nil, refusedRoom(ctx, b.allFull)
	}
	return sync.OnceFunc(func() { b.all.Release(weight); leaveOwn() }), nil
}

// acquire takes what is free at once, however late this host runs it, and else waits.
func acquire(ctx context.Context, room *semaphore.Weighted, weight int64) bool {
	return room.TryAcquire(weight) || room.Acquire(ctx, weight) == nil
}

// refusedRoom is why there was no room: the client left, or there was none in time.
func refusedRoom(ctx context.Context, none *schemas.ProblemDocument) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return none
}

func (b *room) use(tenant string) *tenantRoom {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.tenants[tenant]
	if own == nil {
		own = &tenantRoom{bytes: semaphore.NewWeighted(b.own)}
		b.tenants[tenant] = own
	}
	own.users++
	return own
}

func (b *room) unuse(tenant string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.tenants[tenant]
	if own.users--; own.users == 0 {
		delete(b.tenants, tenant)
	}
}
