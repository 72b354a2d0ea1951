package main

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/internal/vmbench"
)

// pedVM runs ped vm and returns what it prints and its exit code.
func pedVM(ctx context.Context, args ...string) (stdout, stderr string, code int) {
	var out, problems strings.Builder
	code = run(ctx, append([]string{"vm"}, args...), nil, &out, &problems)
	return out.String(), problems.String(), code
}

// TestVMWithRealMachines bakes one, finds it again, and measures it.
func TestVMWithRealMachines(t *testing.T) {
	guests, err := filepath.Abs(guestDir(t))
	if err != nil {
		t.Fatal(err)
	}
	const image = "warm"
	dir, catalog := t.TempDir(), filepath.Join(t.TempDir(), "catalog.yaml")
	text := "images:\n  warm:\n    reference: oci:" + filepath.Join(guests, "..", "images", "busybox") + "\n    warmup:\n      - argv: [sh, -c, ':']\n"
	if err := os.WriteFile(catalog, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	host := []string{"--data-dir", dir, "--guest-dir", guests, "--catalog", catalog, "--arch", "amd64", "--memory", "512MiB", "--json"}
	do := func(into any, args ...string) {
		t.Helper()
		out, problems, code := pedVM(t.Context(), args...)
		if code != exitOK {
			t.Fatalf("ped vm %q: exit code %d: %s", args, code, problems)
		}
		if err := json.Unmarshal([]byte(out), into); err != nil {
			t.Fatalf("ped vm %q says %q: %v", args, out, err)
		}
	}
	var first, second bakedInfo
	do(&first, append([]string{"bake", image}, host...)...)
	do(&second, append([]string{"bake", image}, host...)...)
	if !first.Fresh || second.Fresh || first.ID != second.ID || first.Memory != 512<<20 || first.Warmup != 1 || first.CPUs != 1 {
		t.Errorf("baked %+v, then %+v", first, second)
	}
	var all []machineInfo
	do(&all, "list", "--data-dir", dir, "--json")
	if len(all) != 1 || all[0].ID != first.ID || all[0].Image != image || all[0].Arch != "amd64" || all[0].Disk < 1<<20 || all[0].State != stateReady || all[0].BakeMS <= 0 {
		t.Errorf("listed %+v", all)
	}

	// What a measurement left that was killed goes.
	if err := os.Mkdir(filepath.Join(dir, "vm-bench-1"), 0o700); err != nil {
		t.Fatal(err)
	}
	bench := append([]string{"bench", "--image", image}, host...)
	for _, c := range []struct {
		args []string
		keys []string
	}{
		{[]string{"--measure", "restore", "--runs", "1"}, []string{"samples_ms", "boot_ms", "per_second", "cpu_ms"}},
		{[]string{"--measure", "store", "--runs", "1"}, []string{"samples_ms", "per_second", "stored_bytes", "memory_bytes", "how", "filesystem"}},
		{[]string{"--measure", "pss", "--clones", "1"}, []string{"pss_bytes", "memory_bytes"}},
		{[]string{"--measure", "pss", "--clones", "1", "--", "sh", "-c", "test -d /proc"}, []string{"pss_bytes", "memory_bytes"}},
		{[]string{"--measure", "soak", "--for", "2"}, []string{"rss_slope_bytes_per_1000", "leaked", "runs"}},
	} {
		var result map[string]any
		do(&result, append(slices.Clone(bench), c.args...)...)
		for _, key := range c.keys {
			if result[key] == nil {
				t.Errorf("%q does not say %s: %v", c.args, key, result)
			}
		}
	}
	// A machine of this image, with room for its warm-up, can't be as small as that.
	if _, problems, code := pedVM(t.Context(), append([]string{"bake", image}, append(host, "--memory", "256MiB")...)...); code != exitUsage || !strings.Contains(problems, "have 512 MiB of memory, or 2, 4, 8") {
		t.Errorf("too small: exit code %d: %s", code, problems)
	}
	if _, problems, code := pedVM(t.Context(), append(slices.Clone(bench), "--measure", "pss", "--clones", "1", "--", "false")...); code != exitFailed || !strings.Contains(problems, `job ["false"] did not end well`) {
		t.Errorf("a job that fails: exit code %d: %s", code, problems)
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	if _, problems, code := pedVM(ctx, append(slices.Clone(bench), "--measure", "store", "--runs", "100")...); code != exitFailed || !strings.Contains(problems, "ped: interrupted") {
		t.Errorf("interrupted: exit code %d: %s", code, problems)
	}
	for _, pattern := range []string{"vm-bench-*", "run/amd64/*/*", "snapshots/baking/*"} {
		if left, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(left) > 0 {
			t.Errorf("left: %v, %v", left, err)
		}
	}
}

func TestVMRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		args []string
		code int
		want string
	}{
		"an unknown measure": {[]string{"bench", "--image", "gcc", "--measure", "luck"}, exitUsage, `measure "luck": want one of restore, discard, store, pss, soak`},
		"no image":           {[]string{"bench"}, exitUsage, `required flag(s) "image" not set`},
		"nothing to do":      {[]string{"bench", "--image", "gcc", "--runs", "0"}, exitUsage, "want at least one"},
		"no guest":           {[]string{"bake", "gcc", "--arch", "amd64"}, exitFailed, "ped kernel add --arch amd64"},
		"no name":            {[]string{"bake"}, exitUsage, "want at least 1 arguments"},
		"not a size":         {[]string{"bake", "gcc", "--memory", "lots"}, exitUsage, `"lots" is not a size`},
		"no such verb":       {[]string{"fry"}, exitUsage, "unknown"},
	} {
		_, problems, code := pedVM(t.Context(), append(c.args, "--data-dir", t.TempDir())...)
		if code != c.code || !strings.Contains(problems, c.want) {
			t.Errorf("%s: exit code %d: %s", name, code, problems)
		}
	}
}

// TestMachinesPageHasEveryVerb holds docs/machines.md to the commands.
func TestMachinesPageHasEveryVerb(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/machines.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	vm := (&app{}).root()
	vm, _, err = vm.Find([]string{"vm"})
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range vm.Commands() {
		if !strings.Contains(page, "`"+verb.CommandPath()) {
			t.Errorf("docs/machines.md does not have %s", verb.CommandPath())
		}
	}
	for _, m := range vmbench.Measures {
		if !strings.Contains(page, "| `"+m+"` |") {
			t.Errorf("docs/machines.md does not say what %s measures", m)
		}
	}
	// And the other way round: no flag that there isn't.
	known := map[string]bool{}
	note := func(cmd *cobra.Command) { cmd.Flags().VisitAll(func(f *pflag.Flag) { known["--"+f.Name] = true }) }
	for _, cmd := range append(vm.Commands(), vm.Parent().Commands()...) {
		note(cmd)
	}
	for _, word := range strings.FieldsFunc(page, func(r rune) bool { return !strings.ContainsRune("-abcdefghijklmnopqrstuvwxyz", r) }) {
		if strings.HasPrefix(word, "--") && len(word) > 2 && strings.Trim(word, "-") != "" && !known[word] {
			t.Errorf("docs/machines.md has %s, which no command takes", word)
		}
	}
}
