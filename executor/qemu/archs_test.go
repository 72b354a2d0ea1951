package qemu

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/program-explorer/pe/executor/qemu/vmlinux"
)

// TestOtherArchitectures boots their stock kernels as far as the root
// filesystem that they lack.
func TestOtherArchitectures(t *testing.T) {
	t.Parallel()
	for _, arch := range []string{"arm64", "riscv64"} {
		t.Run(arch, func(t *testing.T) {
			t.Parallel()
			if _, err := FindBinary(arch); err != nil {
				lacks(t, "%v: install the packages qemu-system-arm, qemu-system-misc (or -riscv) and opensbi", err)
			}
			found, _ := filepath.Glob(filepath.Join(filepath.Dir(kernelDir()), arch, "boot", "vmlinu[xz]-*"))
			if len(found) == 0 {
				lacks(t, "no kernel in the cache: run deploy/kernels.sh %s", arch)
			}
			image, err := os.ReadFile(found[0])
			if err != nil {
				t.Fatal(err)
			}
			kernel, err := vmlinux.ForQEMU(arch, image)
			if err != nil {
				t.Fatal(err)
			}
			path := filepath.Join(t.TempDir(), "kernel")
			if err := os.WriteFile(path, kernel, 0o644); err != nil {
				t.Fatal(err)
			}
			disk := filepath.Join(t.TempDir(), "disk")
			if err := os.WriteFile(disk, make([]byte, 4096), 0o600); err != nil {
				t.Fatal(err)
			}
			spec, err := archOf(arch)
			if err != nil {
				t.Fatal(err)
			}
			err = bootsToEnd(t.Context(), Config{
				Arch: arch, Memory: 256 << 20, Kernel: path, User: SlotUser(13), Append: spec.early,
				Disks: []Disk{{Name: "root", Path: disk, ReadOnly: true}},
			}, ProbeConfig{FirstSign: readyWait, Deadline: readyWait})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
