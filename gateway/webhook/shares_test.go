package webhook

import (
	"fmt"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestShares: however many receivers take nothing, there is room for the next one; what
// is callbacks' is not webhooks'.
func TestShares(t *testing.T) {
	t.Parallel()
	const most = 10_000
	s := newShares(most, pendingPart)
	hook := func(i int) receiver { return receiverOf(tenant, fmt.Sprint(i), "") }
	host := func(i int) receiver { return receiverOf(tenant, "", fmt.Sprintf("https://%d.example.org/x", i)) }
	for _, one := range []func(int) receiver{hook, host} {
		for dead := range 40 {
			want := 20
			if dead < schemas.MaxWebhooks {
				want = 100
			}
			if space := s.space(one(dead)); space < want {
				t.Errorf("room for %d when %d are dead", space, dead)
			}
			for s.room(one(dead)) {
				s.count(one(dead), +1)
			}
		}
	}
	if have := s.total(); have > most || have < most*8/10 {
		t.Errorf("all have %d", have)
	}
	if !s.room(receiverOf("other", "w", "")) || s.space(receiverOf("other", "w", "")) != (most/2+16)/17 {
		t.Error("another tenant has less room")
	}
	for r, have := range s.receivers {
		s.count(r, -have)
	}
	if len(s.receivers)+len(s.halves) != 0 {
		t.Errorf("remembered: %v, %v", s.receivers, s.halves)
	}
}

func TestSharesOfSmallRooms(t *testing.T) {
	t.Parallel()
	for most, want := range map[int]int{1: 1, 2: 1, 4: 1, 8: 1, 16: 2, 32: 4} {
		s := newShares(most, 4)
		space, n := s.space(receiverOf(tenant, "w", "")), 0
		for ; s.room(receiverOf(tenant, "w", "")); n++ {
			s.count(receiverOf(tenant, "w", ""), +1)
		}
		if n != want || space != want {
			t.Errorf("of %d: room for %d, and %d foretold, want %d", most, n, space, want)
		}
	}
}

func TestReceivers(t *testing.T) {
	t.Parallel()
	hook := receiverOf(tenant, "w", "https://a/")
	host := receiverOf(tenant, "", "https://A:8443/x")
	for _, c := range []struct {
		who, one receiver
		want     bool
	}{
		{hook, hook, true}, {host, host, true}, {hook, host, false}, {host, hook, false},
		{everybody(tenant), hook, true}, {everybody(tenant), host, true}, {everybody("other"), hook, false},
		{receiver{tenant, callbackTarget, ""}, host, true}, {receiver{tenant, callbackTarget, ""}, hook, false},
		{receiverOf(tenant, "", "https://a:8443/y"), host, true}, {receiverOf(tenant, "", "https://a/"), host, false},
		{receiverOf(tenant, "", "%"), host, false},
	} {
		if got := c.who.covers(c.one); got != c.want {
			t.Errorf("%v covers %v: %v", c.who, c.one, got)
		}
	}
}

// TestGapsAreBounded: of more hosts of callbacks than that it is known only that some are behind.
func TestGapsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBacklog(20, func(receiver) int { return 20 })
	for i := range 10 * maxGaps {
		b.lag(source{tenant, false}, receiverOf(tenant, "", fmt.Sprintf("https://%d.example.org/", i)), uint64(1000-i))
	}
	b.lag(source{tenant, false}, receiverOf(tenant, "w", ""), 5000)
	if n := len(b.behind[source{tenant, false}]); n > maxGaps+2 {
		t.Errorf("%d gaps", n)
	}
	due := b.resume(source{tenant, false}, func(receiver) bool { return true })
	for i := range 10 * maxGaps {
		if r := receiverOf(tenant, "", fmt.Sprintf("https://%d.example.org/", i)); !due.has(r, uint64(1000-i)) {
			t.Fatalf("what was left out for host %d is not read again", i)
		}
	}
	if due.has(receiverOf(tenant, "w", ""), 4999) || !due.has(receiverOf(tenant, "w", ""), 5000) || due.begin() != 1000-10*maxGaps {
		t.Errorf("begins after %d", due.begin())
	}
	if _, behind := b.size(); behind != 0 {
		t.Errorf("%d tenants are behind", behind)
	}
}
