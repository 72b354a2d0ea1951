package imagesync

import (
	"fmt"
	"testing"
	"time"
)

func TestResolverRemembers(t *testing.T) {
	t.Parallel()
	r := NewResolver(ResolverConfig{TTL: time.Minute, MaxEntries: 3})
	now := time.Unix(1000, 0)
	r.remember("a", Resolved{Digest: "1"}, now)
	if got, found := r.recall("a", now.Add(59*time.Second)); !found || got.Digest != "1" {
		t.Errorf("within its time: %+v, %v", got, found)
	}
	if _, found := r.recall("a", now.Add(time.Minute)); found {
		t.Error("remembered for too long")
	}
	for i := range 100 {
		r.remember(fmt.Sprint(i), Resolved{}, now)
		if len(r.known) > 3 {
			t.Fatalf("%d references are remembered", len(r.known))
		}
	}
	if _, found := r.recall("99", now); !found {
		t.Error("the last one is forgotten")
	}
	off := NewResolver(ResolverConfig{TTL: -1})
	off.remember("a", Resolved{}, now)
	if len(off.known) != 0 {
		t.Error("a negative TTL remembers")
	}
}
