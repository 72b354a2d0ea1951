package vm

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/executor/qemu"
)

// TestTry boots a guest to see what jobs see in it, and believes that later, in another
// process too, unless something has changed that it depends on.
func TestTry(t *testing.T) {
	t.Parallel()
	cache := os.Getenv("PE_CACHE")
	if cache == "" {
		cache = "../../.cache"
	}
	b, err := LoadBundle(filepath.Join(cache, "guest"), "amd64")
	if err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatalf("%v: run make setup", err)
		}
		t.Skipf("%v: run make setup", err)
	}
	copied := *b
	b = &copied
	kept := t.TempDir()
	runner := func(change func(*Config)) *Runner {
		c := Config{Bundle: b, Accel: qemu.TCG, TrialDir: kept, RunDir: t.TempDir()}
		if change != nil {
			change(&c)
		}
		r, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	r := runner(nil)
	tried, err := r.Try(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	o := r.Offering()
	if o.Kernel != b.KernelRelease || !strings.Contains(o.CPUModel, "QEMU") || !slices.Contains(o.Features, "sse2") || slices.Contains(o.Features, "avx2") {
		t.Errorf("offers %+v", o)
	}
	if tried.TookMS <= 0 || tried.Ready.BootUS <= 0 {
		t.Errorf("tried in no time: %+v", tried)
	}
	again := runner(nil)
	if !again.Recall() || !slices.Equal(again.Offering().Features, o.Features) {
		t.Errorf("forgotten: %+v", again.Offering())
	}
	for name, change := range map[string]func(*Config){
		"another processor":   func(c *Config) { c.CPUModel = "max" },
		"another accelerator": func(c *Config) { c.Accel = qemu.KVM },
		"another guest":       func(c *Config) { other := *b; other.InitramfsSHA256 = strings.Repeat("0", 64); c.Bundle = &other },
		"another folder":      func(c *Config) { other := *b; other.dir = t.TempDir(); c.Bundle, c.TrialDir = &other, t.TempDir() },
	} {
		if runner(change).Recall() {
			t.Errorf("%s: what another was found to be is believed", name)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(kept, ".*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}

// A bundle whose kernel is not the one that its manifest names is not offered as that.
func TestTryOfTheWrongKernel(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	writeBundle(t, root, "6.1", nil)
	b, err := LoadBundle(root, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Config{Bundle: b, Accel: qemu.TCG, TrialDir: t.TempDir(), RunDir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Try(t.Context(), false); err == nil || !strings.Contains(err.Error(), "6.1") {
		t.Errorf("a kernel that is none: %v", err)
	}
	if o := r.Offering(); len(o.Features) != 0 {
		t.Errorf("offers %+v", o)
	}
}
