package executor

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

func TestStoreHealth(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var turns []bool
		s := storeHealth{turned: func(away bool) { turns = append(turns, away) }}
		// wait says for how long it did; over an hour it gives up.
		wait := func() time.Duration {
			begin := time.Now()
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_ = s.wait(ctx) // the duration tells
			return time.Since(begin)
		}
		want := func(what string, got, want time.Duration) {
			t.Helper()
			if got != want {
				t.Errorf("%s: waited for %s, want %s", what, got, want)
			}
		}
		want("nothing has failed", wait(), 0)

		s.failed(true)
		s.failed(true)
		s.failed(false)
		want("two transfers wait for it", wait(), time.Hour)
		time.AfterFunc(time.Second, s.over)
		want("one has given up", wait(), time.Hour)
		time.AfterFunc(time.Second, s.over)
		want("the last has given up", wait(), time.Second)

		s.failed(true)
		time.AfterFunc(time.Minute, s.answered)
		want("it answered somebody", wait(), time.Minute)
		s.failed(false)
		want("it answers no more", wait(), time.Hour)
		s.answered()
		s.over()
		want("it answers again", wait(), 0)
		if len(turns) != 6 || !turns[0] || turns[5] {
			t.Errorf("it turned %v", turns)
		}
	})
}
