package vm

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/program-explorer/pe/executor"
)

// errBakeRefused: a machine may be booted instead.
var errBakeRefused = errors.New("no more machines may be baked for now")

// bakeLimits keep clients from having machines baked without end. A bake costs
// seconds of a processor and some 100 MiB of disk, and each combination of an
// image and a machine's size wants one.
type bakeLimits struct {
	every    time.Duration // per tenant
	burst    int
	patience time.Duration // for other snapshots' bakes
	slots    chan struct{} // how many bakes go on at once

	mu       sync.Mutex
	going    map[string]bool // bakes that go on, by snapshot id
	tenants  map[string]*rate.Limiter
	failures map[string]bakeFailure // by snapshot id
}

// bakeFailure is a bake that did not work, and when it may be tried again.
type bakeFailure struct {
	err   error
	pause time.Duration
	until time.Time
}

const (
	firstPause = 30 * time.Second
	maxPause   = time.Hour
	// maxRemembered bounds what is kept about tenants, and about failures.
	maxRemembered = 4096
)

func newBakeLimits(c HostConfig) *bakeLimits {
	return &bakeLimits{
		every: c.BakeEvery, burst: c.BakeBurst, patience: c.BakePatience, slots: make(chan struct{}, bakesAtOnce),
		going: map[string]bool{}, tenants: map[string]*rate.Limiter{}, failures: map[string]bakeFailure{},
	}
}

// begin waits for its turn to bake a snapshot, and refuses where the tenant has
// had too many, or where the same has just failed. Done must be called with the bake's error.
func (b *bakeLimits) begin(ctx context.Context, tenant, id string) (done func(context.Context, error), err error) {
	now := time.Now()
	if err := errors.Join(b.failedLately(id, now), b.afford(tenant, now, false)); err != nil {
		return nil, err
	}
	if err := b.takeSlot(ctx, tenant, id); err != nil {
		return nil, err
	}
	// Who had the turn before may have tried the same: it is not to be tried by all who waited.
	if err := b.failedLately(id, time.Now()); err != nil {
		<-b.slots
		return nil, err
	}
	b.begun(id, true)
	return func(ctx context.Context, err error) {
		b.begun(id, false)
		<-b.slots
		if ctx.Err() == nil && !errors.Is(err, errBakeRefused) { // else the bake was not wanted any more, or was none
			b.note(id, err, time.Now())
		}
	}, nil
}

// takeSlot waits for its turn: as long as it takes for the operator, or for a bake of
// the same snapshot, but not for many of others', when to boot takes seconds.
func (b *bakeLimits) takeSlot(ctx context.Context, tenant, id string) error {
	impatient := make(<-chan time.Time)
	if tenant != "" && !b.goesOn(id) {
		timer := time.NewTimer(b.patience)
		defer timer.Stop()
		impatient = timer.C
	}
	select {
	case b.slots <- struct{}{}:
		return nil
	case <-impatient:
		return fmt.Errorf("%w: others were being baked for %s", errBakeRefused, b.patience)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (b *bakeLimits) goesOn(id string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.going[id]
}

func (b *bakeLimits) begun(id string, is bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if is {
		b.going[id] = true
	} else {
		delete(b.going, id)
	}
}

// pay counts a bake that begins: who waited for another's bake of the same owes nothing.
func (b *bakeLimits) pay(tenant string) error { return b.afford(tenant, time.Now(), true) }

// failedLately is why the snapshot can't be baked for now, if a try failed a moment ago.
func (b *bakeLimits) failedLately(id string, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	f, failed := b.failures[id]
	if !failed || !now.Before(f.until) {
		return nil
	}
	var warmup *executor.WarmupError
	if errors.As(f.err, &warmup) {
		return f.err // booting would not help
	}
	return fmt.Errorf("%w: it failed a moment ago: %w", errBakeRefused, f.err)
}

// afford says whether the tenant may have one more bake, and counts it if it pays. No
// tenant is the operator.
func (b *bakeLimits) afford(tenant string, now time.Time, pays bool) error {
	if tenant == "" {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	limiter := b.tenants[tenant]
	if limiter == nil {
		b.forgetIdle(now)
		limiter = rate.NewLimiter(rate.Every(b.every), b.burst)
		b.tenants[tenant] = limiter
	}
	if limiter.TokensAt(now) < 1 || pays && !limiter.AllowN(now, 1) {
		return fmt.Errorf("%w: tenant %s had %d, and one every %s", errBakeRefused, tenant, b.burst, b.every)
	}
	return nil
}

// forgetIdle drops what no longer limits anybody.
func (b *bakeLimits) forgetIdle(now time.Time) {
	if len(b.tenants) < maxRemembered {
		return
	}
	for tenant, limiter := range b.tenants {
		if limiter.TokensAt(now) >= float64(b.burst) {
			delete(b.tenants, tenant)
		}
	}
}

// note remembers a failure, which pauses the next try for longer each time.
func (b *bakeLimits) note(id string, err error, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		delete(b.failures, id)
		return
	}
	if len(b.failures) >= maxRemembered {
		clear(b.failures)
	}
	pause := min(max(firstPause, 2*b.failures[id].pause), maxPause)
	b.failures[id] = bakeFailure{err: err, pause: pause, until: now.Add(pause)}
}
