package coordinator

import (
	"testing"
	"time"
)

func TestLeaseClock(t *testing.T) {
	t.Parallel()
	const lease = 30 * time.Second
	start := time.Now()
	at := func(s int) time.Time { return start.Add(time.Duration(s) * time.Second) }
	type look struct {
		at    int
		up    bool
		epoch uint64
	}
	steady := func(from, to int) (all []look) {
		for s := from; s <= to; s += 2 {
			all = append(all, look{s, true, 1})
		}
		return all
	}
	for _, test := range []struct {
		name  string
		looks []look
		seen  int
		now   int
		want  bool
	}{
		{"heard just now", steady(0, 40), 40, 40, false},
		{"silent for a lease", steady(0, 40), 10, 40, true},
		{"not quite", steady(0, 38), 10, 39, false},
		{"grace after the start", steady(0, 28), -1000, 28, false},
		{"grace is over", steady(0, 30), -1000, 30, true},
		{"connection is down", append(steady(0, 40), look{42, false, 1}), 0, 42, false},
		{"grace after the connection came back", append(append(steady(0, 40), look{42, false, 1}), steady(44, 60)...), 0, 60, false},
		{"another connection, though it was never seen down", append(steady(0, 40), look{42, true, 2}), 0, 42, false},
		{"the process slept", append(steady(0, 10), look{60, true, 1}), 8, 60, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			clock := leaseClock{lease: lease, late: 10 * time.Second}
			for _, l := range test.looks {
				clock.look(at(l.at), l.up, l.epoch)
			}
			if got := clock.expired(at(test.now), at(test.seen)); got != test.want {
				t.Errorf("expired = %v, want %v", got, test.want)
			}
		})
	}
}

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
