package turns

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// TestTurns: so many of each tenant, and so many of all.
func TestTurns(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ each, all int64 }{{1, 3}, {2, 5}, {1, Unbounded}} {
		t.Run(fmt.Sprintf("%d of each, %d of all", c.each, c.all), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { takenByMany(t, c.each, c.all) })
		})
	}
}

func takenByMany(t *testing.T, each, all int64) {
	turns := New(each, all)
	var now, served atomic.Int64
	var own [5]atomic.Int64
	var group sync.WaitGroup
	for i := range 50 {
		group.Go(func() {
			done, err := turns.Take(t.Context(), fmt.Sprint(i%5))
			if err != nil {
				t.Error(err)
				return
			}
			defer done()
			if a, o := now.Add(1), own[i%5].Add(1); a > all || o > each {
				t.Errorf("%d at once, %d of one tenant", a, o)
			}
			time.Sleep(time.Second)
			now.Add(-1)
			own[i%5].Add(-1)
			served.Add(1)
		})
	}
	group.Wait()
	if served.Load() != 50 || len(turns.tenants) != 0 {
		t.Errorf("%d were served, %d tenants are remembered", served.Load(), len(turns.tenants))
	}
}

// TestTurnsAreNotWaitedForInVain: who gives up takes nothing along.
func TestTurnsAreNotWaitedForInVain(t *testing.T) {
	t.Parallel()
	turns := New(1, 1)
	done, err := turns.Take(t.Context(), "a")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, tenant := range []string{"a", "b"} {
		if _, err := turns.Take(gone, tenant); err == nil {
			t.Errorf("tenant %s has a turn", tenant)
		}
	}
	done()
	if done, err = turns.Take(t.Context(), "b"); err != nil {
		t.Fatal(err)
	}
	done()
	if len(turns.tenants) != 0 {
		t.Errorf("%d tenants are remembered", len(turns.tenants))
	}
}
