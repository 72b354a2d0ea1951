package fleet

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
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
			clock := NewClock(lease, 2*time.Second)
			for _, l := range test.looks {
				clock.Look(at(l.at), l.up, l.epoch)
			}
			if got := clock.Expired(at(test.now), at(test.seen)); got != test.want {
				t.Errorf("expired = %v, want %v", got, test.want)
			}
		})
	}
}
