package coordinator

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns: one of each tenant, and so many of all.
func TestTurns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		turns := newTurns(3)
		var all, served atomic.Int32
		var own [5]atomic.Int32
		var group sync.WaitGroup
		for i := range 50 {
			group.Go(func() {
				done, err := turns.take(t.Context(), fmt.Sprint(i%5))
				if err != nil {
					t.Error(err)
					return
				}
				defer done()
				if a, o := all.Add(1), own[i%5].Add(1); a > 3 || o > 1 {
					t.Errorf("%d at once, %d of one tenant", a, o)
				}
				time.Sleep(time.Second)
				all.Add(-1)
				own[i%5].Add(-1)
				served.Add(1)
			})
		}
		group.Wait()
		if served.Load() != 50 || len(turns.tenants) != 0 {
			t.Errorf("%d were served, %d tenants are remembered", served.Load(), len(turns.tenants))
		}
	})
}

// TestTurnsAreNotWaitedForInVain: who gives up takes nothing along.
func TestTurnsAreNotWaitedForInVain(t *testing.T) {
	t.Parallel()
	turns := newTurns(1)
	done, err := turns.take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tenant := range []string{"a", "b"} {
		if _, err := turns.take(gone, tenant); err == nil {
			t.Errorf("tenant %s has a turn", tenant)
		}
	}
	done()
	if done, err = turns.take(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	done()
	if len(turns.tenants) != 0 {
		t.Errorf("%d tenants are remembered", len(turns.tenants))
	}
}
