package access

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

func limits(t *testing.T, perToken, perAddress float64) *Limits {
	t.Helper()
	l, err := NewLimits(perToken, perAddress)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

var attacker, neighbour = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

func TestATokenIsLimited(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limits(t, 10, 0)
		first := l.Token("a")
		if !first.Allowed || first.Policy != `"token";q=20;w=2` || first.Limit != `"token";r=19;t=1` {
			t.Errorf("first: %+v", first)
		}
		for range 19 {
			l.Token("a")
		}
		refused := l.Token("a")
		if refused.Allowed || refused.Wait != 100*time.Millisecond || refused.Limit != `"token";r=0;t=1` {
			t.Errorf("the 21st: %+v", refused)
		}
		if !l.Token("b").Allowed {
			t.Error("another token pays for it")
		}
		time.Sleep(refused.Wait)
		if !l.Token("a").Allowed || l.Token("a").Allowed {
			t.Error("after the wait not exactly one is let in")
		}
	})
}

// A batch larger than everything that may come at once is let in, and paid for.
func TestABatchIsPaidFor(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limits(t, 10, 0)
		l.Token("a")
		l.Charge("a", 99)
		v := l.Token("a")
		if v.Allowed || v.Wait != 8100*time.Millisecond || v.Limit != `"token";r=0;t=9` {
			t.Errorf("after 100 jobs at 10 a second: %+v", v)
		}
		l.Charge("", 1e6)
		time.Sleep(v.Wait)
		if !l.Token("a").Allowed {
			t.Error("it waits for more than it owes")
		}
	})
}

// Guesses are slowed down far more than other requests, and once they are, not
// even a right one is told from the others; who used his token there before goes on.
func TestGuessesAreSlowedDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		l := limits(t, 0, 10)
		if _, ok := l.Proven(attacker, "known"); !ok {
			t.Fatal("a token is refused before anything was guessed")
		}
		answered := 0
		for begin := time.Now(); time.Since(begin) < time.Minute; time.Sleep(10 * time.Millisecond) {
			if l.Guess(attacker).Allowed {
				answered++
			}
		}
		if answered < 60 || answered > 80 {
			t.Errorf("%d guesses answered in a minute, want about 70: ten at once and one a second", answered)
		}
		if v, ok := l.Proven(attacker, "right guess"); ok || v.Allowed || v.Wait <= 0 {
			t.Errorf("a right guess: %+v", v)
		}
		if _, ok := l.Proven(attacker, "known"); !ok {
			t.Error("guesses shut out whose token is known")
		}
		if _, ok := l.Proven(neighbour, "right guess"); !ok || !l.Address(neighbour).Allowed {
			t.Error("guesses shut out another address")
		}
	})
}

func TestNoLimit(t *testing.T) {
	t.Parallel()
	l := limits(t, 0, 0)
	for range 100_000 {
		if v := l.Token("a"); !v.Allowed || v.Policy != "" || !l.Guess(attacker).Allowed {
			t.Fatalf("%+v", v)
		}
	}
	l.Charge("a", math.MaxInt)
}

func TestLimitsMustBeNumbers(t *testing.T) {
	t.Parallel()
	for _, r := range []float64{-1, math.NaN(), math.Inf(1), 0.01, 1e9} {
		if _, err := NewLimits(r, 1); err == nil {
			t.Errorf("%v a token is taken", r)
		}
		if _, err := NewLimits(1, r); err == nil {
			t.Errorf("%v an address is taken", r)
		}
	}
}

func TestMemoryOfLimitsIsBounded(t *testing.T) {
	t.Parallel()
	l := limits(t, 1, 1)
	for i := range 2 * limitersKept {
		l.Token(fmt.Sprint(i))
		l.Address(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}))
	}
	if l.tokens.kept.Len() != limitersKept || l.addresses.kept.Len() != limitersKept {
		t.Errorf("%d tokens and %d addresses are kept", l.tokens.kept.Len(), l.addresses.kept.Len())
	}
}
