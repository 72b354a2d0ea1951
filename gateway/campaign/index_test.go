package campaign

import (
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestReserve: who is making a campaign holds room for it, and keeps nobody waiting.
func TestReserve(t *testing.T) {
	t.Parallel()
	x := newIndex()
	made := entry{Tenant: "a", Campaign: schemas.Campaign{Name: "made"}}
	x.learn(made, 1)
	for i, c := range []struct {
		tenant, key string
		want        bool
	}{
		{"a", "one", true}, {"a", "one", true}, {"a", "two", false}, {"b", "one", true}, {"b", "two", true}, {"b", "three", false},
	} {
		if got := x.reserve(c.tenant, c.key, 2); got != c.want {
			t.Errorf("reservation %d of %+v: %v", i, c, got)
		}
	}
	x.release("a", "one")
	if x.reserve("a", "two", 2) {
		t.Error("room is given away that somebody holds")
	}
	x.release("a", "one")
	if !x.reserve("a", made.key(), 2) || !x.reserve("a", "two", 2) {
		t.Error("what is there already takes room twice, or what was given back is not free")
	}
	for _, r := range [][2]string{{"a", made.key()}, {"a", "two"}, {"b", "one"}, {"b", "two"}} {
		x.release(r[0], r[1])
	}
	if len(x.making) > 0 {
		t.Errorf("left: %v", x.making)
	}
}
