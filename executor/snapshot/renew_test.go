package snapshot_test

import (
	"testing"

	"github.com/program-explorer/pe/executor/session"
)

// TestTemplateIsRenewed fills a machine's memory, which fills the template's holes too, and finds
// the host's memory given back with the next machine, while the first still runs.
func TestTemplateIsRenewed(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	snap, _, err := g.store.Get(t.Context(), g.key, g.rootfs, g.bake(t))
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Release()
	if snap.Resident() != 0 {
		t.Errorf("%d bytes resident before the first machine", snap.Resident())
	}
	fill := func(s *session.Session, want string) {
		t.Helper()
		if err := personalise(t.Context(), s, "filler"); err != nil {
			t.Fatal(err)
		}
		if r, err := run(t.Context(), s, "head -c 80000000 /dev/zero > /x; wc -c < /x"); err != nil || len(r.words) != 1 || r.words[0] != want {
			t.Fatalf("job says %q, %v", r.words, err)
		}
	}
	_, first := g.clone(t, snap, 40)
	fresh := snap.Resident()
	fill(first, "80000000")
	full := snap.Resident()
	_, second := g.clone(t, snap, 41)
	renewed := snap.Resident()
	t.Logf("template: %d MiB, filled %d MiB, renewed %d MiB", fresh>>20, full>>20, renewed>>20)
	if full > fresh+40<<20 && renewed > fresh+24<<20 {
		t.Errorf("the template keeps %d MiB", renewed>>20)
	}
	if err := first.Ping(t.Context(), 1); err != nil {
		t.Errorf("the machine of the old template: %v", err)
	}
	if err := second.Ping(t.Context(), 1); err != nil {
		t.Error(err)
	}
}
