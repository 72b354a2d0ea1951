package resultcache

import (
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
)

// TestSoManyEntriesOfATenant, of all gateways; those that are there are replaced all
// the same, and there is room when the cache is cleared, or entries have gone.
func TestSoManyEntriesOfATenant(t *testing.T) {
	t.Parallel()
	server, now := queuetest.Start(t), time.Now()
	gateway := func() *Cache {
		return New(server.Gateway(t, slog.New(slog.DiscardHandler)).Cache, 5, func() time.Time { return now })
	}
	c, ctx := gateway(), t.Context()
	lead := func(c *Cache, tenant, hash string) error {
		key := c.key(t, hash)
		before, err := c.Look(ctx, tenant, key)
		if err != nil {
			t.Fatal(err)
		}
		return c.Lead(ctx, tenant, key, one, before)
	}
	full := func(c *Cache, want error) {
		t.Helper()
		if err := lead(c, "local", "f"); !errors.Is(err, want) {
			t.Errorf("one more: %v", err)
		}
		if err := c.Admit(ctx, "local", c.key(t, "f")); want != nil && !errors.Is(err, want) {
			t.Errorf("one more is admitted: %v", err)
		}
	}
	for i := range 5 {
		if err := lead(c, "local", fmt.Sprint(i)); err != nil {
			t.Fatalf("entry %d: %v", i, err)
		}
	}
	full(c, ErrFull)
	full(gateway(), ErrFull)
	for _, err := range []error{lead(c, "local", "0"), c.Admit(ctx, "local", c.key(t, "1")), c.Keep(ctx, "local", c.key(t, "1"), two, 1), lead(c, "other", "0")} {
		if err != nil {
			t.Error(err)
		}
	}
	if err := c.bucket.RemoveBelow(ctx, "local"); err != nil {
		t.Fatal(err)
	}
	full(c, ErrFull) // it was counted just now
	now = now.Add(recountPause)
	full(c, nil)

	if err := lead(c, "local", "a"); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := lead(c, "local", fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	if err := lead(c, "local", "9"); !errors.Is(err, ErrFull) {
		t.Errorf("full again: %v", err)
	}
	if err := c.Clear(ctx, "local"); err != nil {
		t.Fatal(err)
	}
	full(c, nil)
}

// TestEntriesAreCountedNowAndThen, not for each job.
func TestEntriesAreCountedNowAndThen(t *testing.T) {
	t.Parallel()
	c := counts{most: 1000, tenants: map[string]*count{}}
	now, counted := time.Now(), 0
	for range 900 {
		if added, due := c.due("local", now); due {
			counted++
			c.learn("local", c.of("local").found+added, added, now, true)
		}
		if err := c.add("local"); err != nil {
			t.Fatal(err)
		}
	}
	if counted != 1+900/50-1 && counted != 900/50 {
		t.Errorf("counted %d times for 900 jobs", counted)
	}
	// A count that fails is tried again, by the next one.
	c.forget("local")
	for range 2 {
		if _, due := c.due("local", now); !due {
			t.Error("not counted")
		}
		if _, due := c.due("local", now); due {
			t.Error("counted twice at once")
		}
		c.learn("local", 0, 0, now, false)
	}
}
