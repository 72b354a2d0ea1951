package doctor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func find(t *testing.T, checks []Check, name string) Check {
	t.Helper()
	for _, c := range checks {
		if c.Name == name {
			return c
		}
	}
	t.Fatalf("no check %q in %+v", name, checks)
	return Check{}
}

func TestAMachineWithoutAGuestIsNotFitAndIsToldWhy(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	checks := Run(t.Context(), Config{
		DataDir: filepath.Join(t.TempDir(), "not", "yet"), GuestDir: t.TempDir(), Listen: "127.0.0.1:0", Archs: []string{"amd64", "riscv64"},
	})
	if Fit(checks) {
		t.Error("fit")
	}
	for name, want := range map[string]Status{
		"qemu amd64": Fail, "guest amd64": Fail, "qemu riscv64": Warn, "guest riscv64": Warn, "data directory": OK, "address": OK, "image tools": Warn,
	} {
		c := find(t, checks, name)
		if c.Status != want {
			t.Errorf("%s: got %+v, want %s", name, c, want)
		}
		if c.Status != OK && c.Fix == "" {
			t.Errorf("%s: says not what to do", name)
		}
	}
}

func TestAnAddressInUse(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if c := (Config{Listen: l.Addr().String()}).address(t.Context()); c.Status != Warn || !strings.Contains(c.Detail, "in use") {
		t.Errorf("got %+v", c)
	}
}

// fakeHost is a machine where everything is there: a QEMU that only knows its
// version, and a guest that only has a manifest.
func fakeHost(t *testing.T) Config {
	t.Helper()
	bin, guests := t.TempDir(), t.TempDir()
	t.Setenv("PATH", bin)
	script := "#!/bin/sh\necho 'QEMU emulator version 9.9.9'\n"
	if err := os.WriteFile(filepath.Join(bin, "qemu-system-x86_64"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	writeBundle(t, filepath.Join(guests, "amd64"))
	return Config{DataDir: t.TempDir(), GuestDir: guests, Listen: "127.0.0.1:0", Archs: []string{"amd64"}}
}

// writeBundle makes a guest whose files fit its manifest, and that would not boot.
func writeBundle(t *testing.T, dir string) {
	t.Helper()
	dir = filepath.Join(dir, "6.1.0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256([]byte("no kernel"))
	manifest := fmt.Sprintf(`{"arch": "amd64", "kernel_release": "6.1.0", "guest_version": "v1", "kernel_sha256": "%[1]x", "initramfs_sha256": "%[1]x"}`, sum)
	for name, content := range map[string]string{"kernel": "no kernel", "initramfs.cpio": "no kernel", "manifest.json": manifest} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTheVerdictIsThatOfABoot(t *testing.T) {
	c := fakeHost(t)
	c.Prove = func(_ context.Context, arch, _ string) (string, string, error) {
		return "kvm", arch + " booted", nil
	}
	checks := Run(t.Context(), c)
	if q := find(t, checks, "qemu amd64"); q.Status != OK || !strings.Contains(q.Detail, "9.9.9") {
		t.Errorf("got %+v", q)
	}
	if b := find(t, checks, "boot amd64"); b.Status != OK || b.Detail != "kvm: amd64 booted" {
		t.Errorf("got %+v", b)
	}
	c.Prove = func(context.Context, string, string) (string, string, error) { return "", "", errors.New("no kernel") }
	if b := find(t, Run(t.Context(), c), "boot amd64"); b.Status != Fail {
		t.Errorf("got %+v", b)
	}
}

func TestAvailableMemory(t *testing.T) {
	if got := availableMemory("MemTotal: 9 kB\nMemAvailable:   2048 kB\n"); got != 2<<20 {
		t.Errorf("got %d", got)
	}
	if got := availableMemory("nothing"); got != 0 {
		t.Errorf("got %d", got)
	}
}
