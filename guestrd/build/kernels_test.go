package build

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestRealKernels builds a bundle from each architecture's kernel package in the cache.
func TestRealKernels(t *testing.T) {
	cache := os.Getenv("PE_CACHE")
	if cache == "" {
		cache = "../../.cache"
	}
	for _, name := range []string{"amd64", "amd64-trixie", "arm64", "riscv64"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			arch, _, _ := strings.Cut(name, "-")
			kernel := filepath.Join(cache, "kernels", name)
			if _, err := os.Stat(kernel); err != nil {
				missing := "no kernel package in the cache: run deploy/kernels.sh " + strings.Replace(name, "-", ":", 1)
				if os.Getenv("PE_REQUIRE_ALL") == "1" {
					t.Fatal(missing)
				}
				t.Skip(missing)
			}
			out := t.TempDir()
			guestrd := filepath.Join(out, "guestrd")
			if err := os.WriteFile(guestrd, []byte("program"), 0o755); err != nil {
				t.Fatal(err)
			}
			c := Config{Arch: arch, Kernel: kernel, Guestrd: guestrd, Out: filepath.Join(out, "bundles")}
			first, err := Build(t.Context(), c)
			if err != nil {
				t.Fatal(err)
			}
			second, err := Build(t.Context(), c) // in place of the first
			if err != nil {
				t.Fatal(err)
			}
			content, err := os.ReadFile(filepath.Join(c.Out, arch, first.KernelRelease, ManifestFile))
			if err != nil {
				t.Fatal(err)
			}
			var read Manifest
			if err := json.Unmarshal(content, &read); err != nil {
				t.Fatal(err)
			}
			if first.InitramfsSHA256 != second.InitramfsSHA256 || first.KernelSHA256 != read.KernelSHA256 {
				t.Errorf("builds differ: %+v, %+v, %+v", first, second, read)
			}
			if !slices.Contains(first.Modules, "erofs") || !slices.Contains(first.Modules, "overlay") {
				t.Errorf("modules %q", first.Modules)
			}
			if left, _ := os.ReadDir(c.Out); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}
