package vm_test

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// nothingShared fails for every value that two programs of different machines have read.
func nothingShared(t *testing.T, all []clone) {
	t.Helper()
	seen := map[string]string{}
	for n, c := range all {
		if len(c.c) != 8 || len(c.python) != 9 {
			t.Fatalf("clone %d says %v and %v", n, c.c, c.python)
		}
		own := map[string]string{}
		for _, words := range []map[string]string{c.c, c.python} {
			for name, value := range words {
				if name != "clock" {
					own[value] = name // host and machine are in both
				}
			}
			if words["host"] != fmt.Sprint("clone-", n) || len(words["machine"]) != 32 {
				t.Errorf("clone %d is called %q, %q", n, words["host"], words["machine"])
			}
		}
		if len(own) != 7+8-2 {
			t.Errorf("clone %d has %d values of its own: %v", n, len(own), own)
		}
		for value, name := range own {
			if other, ok := seen[value]; ok || value == "" {
				t.Errorf("clone %d: %s is %q, as in %s", n, name, value, other)
			}
			seen[value] = fmt.Sprintf("clone %d (%s)", n, name)
		}
	}
	t.Logf("%d values, all different", len(seen))
}

// clocksRight fails for a clock that is certainly off by more than the limit, and for
// one of which the measurement can't tell.
func clocksRight(t *testing.T, all []clone) {
	t.Helper()
	var offsets, doubts []time.Duration
	for n, c := range all {
		for who, read := range map[string]struct {
			words map[string]string
			heard time.Time
		}{"c": {c.c, c.heardC}, "python": {c.python, c.heardPython}} {
			at := timeOf(read.words["clock"])
			if at.Before(c.sent.Add(-clockLimit)) || at.After(read.heard.Add(clockLimit)) {
				t.Errorf("clone %d: %s read %v, between %v and %v of the host's", n, who, at, c.sent, read.heard)
			}
		}
		if c.offset.Abs()-c.doubt > clockLimit || c.doubt > clockLimit {
			t.Errorf("clone %d: clock is off by %v ± %v", n, c.offset, c.doubt)
		}
		offsets, doubts = append(offsets, c.offset), append(doubts, c.doubt)
	}
	slices.Sort(offsets)
	slices.Sort(doubts)
	mid := len(all) / 2
	t.Logf("clocks off by %v to %v, median %v; measured to ± %v at the median, ± %v at worst", offsets[0], offsets[len(all)-1], offsets[mid], doubts[mid], doubts[len(all)-1])
}
