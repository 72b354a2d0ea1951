package api

import (
	"context"
	"net/http"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/program-explorer/pe/schemas"
)

// Bounds of the batches that are under way at this gateway, in bytes of their
// bodies. Decoded, a batch takes several times as much memory.
const (
	// batchBytes are those of all tenants.
	batchBytes = 4 * tenantBatchBytes
	// tenantBatchBytes are those of one: the largest batch, or several smaller ones.
	tenantBatchBytes = schemas.MaxBatchBytes
	// minBatchWeight is what any batch counts as: a thousand empty specifications
	// are a short text, and not short decoded.
	minBatchWeight = 256 << 10
)

// batchPatience is how long a batch waits to be read.
const batchPatience = 5 * time.Second

// batchRoom bounds the memory that batches take. Those that wait have not been read.
type batchRoom struct {
	patience time.Duration
	all      *semaphore.Weighted
	mu       sync.Mutex
	tenants  map[string]*tenantRoom
}

// tenantRoom is there while a batch of the tenant is under way or waits.
type tenantRoom struct {
	bytes *semaphore.Weighted
	users int
}

func newBatchRoom() *batchRoom {
	return &batchRoom{patience: batchPatience, all: semaphore.NewWeighted(batchBytes), tenants: map[string]*tenantRoom{}}
}

// batchWeight is what a batch counts as, given the length of its body, which is
// negative if the client did not say.
func batchWeight(length int64) int64 {
	if length < 0 {
		return schemas.MaxBatchBytes
	}
	return max(length, minBatchWeight)
}

// enter waits for room, until leave is called. The tenant's own comes first, so
// that no tenant keeps the others waiting with more than its share.
func (b *batchRoom) enter(ctx context.Context, w http.ResponseWriter, tenant string, weight int64) (leave func(), err error) {
	own := b.use(tenant)
	wait, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	if !acquire(wait, own.bytes, weight) {
		b.unuse(tenant)
		w.Header().Set("Retry-After", "2")
		return nil, refusedRoom(ctx, kindTooManyBatches.problem("so much of the tenant's batches is under way already", "send large batches one after the other"))
	}
	leaveOwn := func() { own.bytes.Release(weight); b.unuse(tenant) }
	if !acquire(wait, b.all, weight) {
		leaveOwn()
		return nil, refusedRoom(ctx, kindBusy.problem("so many batches are under way already", "try again in a moment"))
	}
	return func() { b.all.Release(weight); leaveOwn() }, nil
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

func (b *batchRoom) use(tenant string) *tenantRoom {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.tenants[tenant]
	if own == nil {
		own = &tenantRoom{bytes: semaphore.NewWeighted(tenantBatchBytes)}
		b.tenants[tenant] = own
	}
	own.users++
	return own
}

func (b *batchRoom) unuse(tenant string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	own := b.tenants[tenant]
	if own.users--; own.users == 0 {
		delete(b.tenants, tenant)
	}
}
