package vm

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/executor"
)

// writeBundle makes one whose files fit its manifest, unless change spoils them.
func writeBundle(t *testing.T, root, release string, change func(b *Bundle, dir string)) {
	t.Helper()
	dir := filepath.Join(root, "amd64", release)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("content"))
	b := &Bundle{Arch: "amd64", KernelRelease: release, KernelSHA256: hex.EncodeToString(sum[:]), InitramfsSHA256: hex.EncodeToString(sum[:])}
	for _, name := range []string{kernelFile, initramfsFile} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("content"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if change != nil {
		change(b, dir)
	}
	text, err := json.Marshal(b)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, manifestFile), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestLoadBundle(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(b *Bundle, dir string)
		says   string // "" for success
	}{
		"whole":              {nil, ""},
		"of another machine": {func(b *Bundle, _ string) { b.Arch = "arm64" }, "arm64"},
		"of another kernel":  {func(b *Bundle, _ string) { b.KernelRelease = "6.2" }, `its kernel is "6.2"`},
		"changed kernel":     {func(b *Bundle, _ string) { b.KernelSHA256 = strings.Repeat("0", 64) }, "kernel has sha256"},
		"no initramfs":       {func(_ *Bundle, dir string) { os.Remove(filepath.Join(dir, initramfsFile)) }, "no such file"},
		"cut initramfs":      {func(_ *Bundle, dir string) { os.Truncate(filepath.Join(dir, initramfsFile), 3) }, "initramfs.cpio has sha256"},
	} {
		root := t.TempDir()
		writeBundle(t, root, "6.1", tc.change)
		_, err := LoadBundle(root, "amd64")
		if (err == nil) != (tc.says == "") || err != nil && !strings.Contains(err.Error(), tc.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadBundle(t.TempDir(), "riscv64"); err == nil || !strings.Contains(err.Error(), "ped kernel add --arch riscv64") {
		t.Errorf("a bundle that isn't there: %v", err)
	}
}

// The newest comes first, and one with a known fault after all others.
func TestNewestBundleIsFirst(t *testing.T) {
	t.Parallel()
	root := t.TempDir()
	for _, release := range []string{"6.1.0-9-cloud-amd64", "6.12.57+deb13-cloud-amd64", "6.1.0-56-cloud-amd64", "6.19.2-cloud-amd64", ".6.99-half-made"} {
		writeBundle(t, root, release, nil)
	}
	if err := os.Mkdir(filepath.Join(root, "amd64", "7.0"), 0o700); err != nil { // without a manifest
		t.Fatal(err)
	}
	all, err := ListBundles(root, "amd64")
	if err == nil || !strings.Contains(err.Error(), "7.0") {
		t.Errorf("the broken one: %v", err)
	}
	var got []string
	for _, b := range all {
		got = append(got, b.KernelRelease)
	}
	if want := []string{"6.19.2-cloud-amd64", "6.1.0-56-cloud-amd64", "6.1.0-9-cloud-amd64", "6.12.57+deb13-cloud-amd64"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if b, err := LoadBundle(root, "amd64"); err != nil || b.KernelRelease != got[0] {
		t.Errorf("loaded %+v, %v", b, err)
	}
}

func TestCompareReleases(t *testing.T) {
	t.Parallel()
	rising := []string{"5.10", "6.1.0-9-amd64", "6.1.0-56-amd64", "6.1.0-56-cloud-amd64", "6.9", "6.12-rc1", "6.12.3", "6.12.117+deb13", "10.0"}
	for i, a := range rising {
		for j, b := range rising {
			if got := compareReleases(a, b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("%s against %s: %d", a, b, got)
			}
		}
	}
}

func TestUsersAreNeverShared(t *testing.T) {
	t.Parallel()
	u := &users{}
	if a, b, c := u.take(), u.take(), u.take(); a != 0 || b != 1 || c != 2 {
		t.Errorf("users %d, %d, %d", a, b, c)
	}
	u.give(1)
	if again, next := u.take(), u.take(); again != 1 || next != 3 {
		t.Errorf("users %d, %d", again, next)
	}
}

func TestMachineBytes(t *testing.T) {
	t.Parallel()
	for job, want := range map[int64]int64{
		0: minMachine, 128 << 20: 256 << 20, 128<<20 + 1: 512 << 20, 768 << 20: 1 << 30, 1 << 50: maxMachine,
	} {
		if got := machineBytes(executor.Shape{MemoryBytes: job}); got != want {
			t.Errorf("a job of %d bytes gets a machine of %d, want %d", job, got, want)
		}
	}
	warm := executor.Shape{MemoryBytes: 128 << 20, Warmup: []executor.WarmupRun{{}}}
	if got := machineBytes(warm); got != 512<<20 {
		t.Errorf("what the warm-up keeps has no room: %d", got)
	}
}

// What a guest writes to its console reaches people in an error.
func TestConsoleIsQuoted(t *testing.T) {
	t.Parallel()
	if got := lastLines([]byte(" \n\r ")); got != "" {
		t.Errorf("nothing is quoted as %s", got)
	}
	got := lastLines([]byte(strings.Repeat("x", 1000) + "\x1b]0;title\a\xff\nlast"))
	if strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) || !strings.HasSuffix(got, `last"`) || len(got) > 4*consoleExcerpt+2 {
		t.Errorf("quoted as %s", got)
	}
}
