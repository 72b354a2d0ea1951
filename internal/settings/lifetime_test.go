package settings

import (
	"testing"
	"time"
)

func TestLifetime(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"7d": 7 * day, "36h": 36 * time.Hour, "1d12h": 36 * time.Hour, "forever": 0, "0": 0, "90m": 90 * time.Minute, "0d1s": time.Second,
	} {
		var l Lifetime
		if err := l.Set(text); err != nil || time.Duration(l) != want {
			t.Errorf("Set(%q) = %s, %v", text, time.Duration(l), err)
		}
		var again Lifetime
		if err := again.Set(l.String()); err != nil || again != l {
			t.Errorf("Set(%q) = %s, %v", l, again, err)
		}
	}
	for _, text := range []string{"", "d", "-1d", "7", "7 days", "1.5d", "0s", "0d", "-1h", "1d-1h", "99999999999d", "40000d", "Forever"} {
		var l Lifetime
		if err := l.Set(text); err == nil {
			t.Errorf("Set(%q) = %s", text, l)
		}
	}
}
