package coordinator

import (
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for attempt, longest := range map[int]time.Duration{
		0: time.Second, 1: time.Second, 2: 2 * time.Second, 3: 4 * time.Second, 6: 32 * time.Second,
		7: time.Minute, 1000: time.Minute,
	} {
		wait := backoff(now, "j1", attempt).Sub(now)
		if wait < longest/2 || wait > longest {
			t.Errorf("after attempt %d: %s, want %s to %s", attempt, wait, longest/2, longest)
		}
		if again := backoff(now, "j1", attempt).Sub(now); again != wait {
			t.Errorf("after attempt %d: %s, then %s", attempt, wait, again)
		}
	}
	if backoff(now, "j1", 5).Equal(backoff(now, "j2", 5)) {
		t.Error("two jobs come back at the same instant")
	}
}
