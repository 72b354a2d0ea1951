package roles

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/gateway/coordinator"
)

func TestParseTenants(t *testing.T) {
	t.Parallel()
	got, err := parseTenants("f", []byte("# who may what\nalice: {weight: 2, max-queued: 1000, max-running: 4, max-stored: 10GiB, max-pools: 3}\nbob:\n  max-running: 1\n"))
	if err != nil || len(got) != 2 || got["bob"] != (coordinator.Limits{Running: 1}) ||
		got["alice"] != (coordinator.Limits{Weight: 2, Queued: 1000, Running: 4, StoredBytes: 10 << 30, Pools: 3}) {
		t.Errorf("parseTenants = %+v, %v", got, err)
	}
	for text, want := range map[string][]string{
		"alice: {weight: 2}\nbob: {max-runing: 4}\n": {`f:2: unknown setting "max-runing": want max-pools, max-queued, max-running, max-stored, weight`},
		"alice: {weight: 0, max-queued: many}":       {`f:1: weight: "0": want a number from 1 to 1000`, `max-queued: "many"`},
		"alice: {max-stored: plenty}":                {`f:1: max-stored: "plenty" is not a size`},
		"Alice: {weight: 1}":                         {`f:1: tenant "Alice": want 1 to 40 of a-z`},
		"a: {weight: 1}\na: {weight: 2}":             {"f:2: a stands already in line 1"},
		"alice: 3":                                   {"f:1: want entries such as"},
		"- alice":                                    {"f:1: want entries such as"},
		"alice: {weight: [1]}":                       {"f:1: weight: want one value"},
		"alice: {weight: 1":                          {"f: yaml: line 1"},
	} {
		_, err := parseTenants("f", []byte(text))
		for _, w := range want {
			if err == nil || !strings.Contains(err.Error(), w) {
				t.Errorf("%q: %v, want %s", text, err, w)
			}
		}
	}
	if got, err := parseTenants("f", nil); err != nil || len(got) != 0 {
		t.Errorf("of nothing: %v, %v", got, err)
	}
}

// TestTenantsFileIsReadAgain: what changes is in force without a restart; a
// mistake changes nothing.
func TestTenantsFileIsReadAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "tenants.yaml")
	write := func(text string) {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("alice: {weight: 2}")
	file := &tenantsFile{path: path, standard: coordinator.Limits{Queued: 7}}
	table, _, err := file.read()
	if err != nil || table.Tenants["alice"].Weight != 2 || table.Default.Queued != 7 {
		t.Fatalf("read = %+v, %v", table, err)
	}
	synctest.Test(t, func(t *testing.T) {
		var set []coordinator.LimitTable
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go file.watch(ctx, slog.New(slog.DiscardHandler), func(l coordinator.LimitTable) { set = append(set, l) })
		look := func() {
			time.Sleep(tenantsEvery)
			synctest.Wait()
		}
		look()
		if len(set) != 0 {
			t.Errorf("nothing changed, and %+v was set", set)
		}
		write("alice: {wait: 3}")
		look()
		write("alice: {weight: 3}\nbob: {max-running: 1}")
		look()
		look()
		if len(set) != 1 || set[0].Tenants["alice"].Weight != 3 || set[0].Tenants["bob"].Running != 1 || set[0].Default.Queued != 7 {
			t.Errorf("set %+v", set)
		}
	})
}

func FuzzParseTenants(f *testing.F) {
	for _, seed := range []string{"alice: {weight: 2, max-stored: 10GiB}", "a: &x {weight: 1}\nb: *x", "- 1", "a: {<<: {weight: 1}}", "a: !!binary x"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		tenants, err := parseTenants("f", data)
		for name, l := range tenants {
			if err == nil && (l.Weight < 0 || l.Weight > coordinator.MaxWeight || l.Queued < 0 || l.Running < 0 || l.Pools < 0 || l.StoredBytes < 0) {
				t.Errorf("%s: %+v", name, l)
			}
		}
	})
}
