package session_test

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// cached finds what deploy/setup.sh and make guest leave, or ends the test.
func cached(t testing.TB, elem ...string) string {
	t.Helper()
	dir := os.Getenv("PE_CACHE")
	if dir == "" {
		dir = "../../.cache"
	}
	path, err := filepath.Abs(filepath.Join(append([]string{dir}, elem...)...))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatalf("%v: run make setup build", err)
		}
		t.Skipf("%v: run make setup build", err)
	}
	return path
}

// variant is a guest to be measured.
type variant struct{ name, bundle, arguments string }

// variants are those of PE_BENCH_GUESTS, or else the cache's guest.
func variants(t testing.TB) []variant {
	t.Helper()
	list := os.Getenv("PE_BENCH_GUESTS")
	if list == "" {
		return []variant{{name: "guest", bundle: newest(t, cached(t, "guest"))}}
	}
	var all []variant
	for entry := range strings.SplitSeq(list, ",") {
		name, rest, ok := strings.Cut(entry, "=")
		dir, arguments, _ := strings.Cut(rest, "+")
		if !ok || !filepath.IsAbs(dir) {
			t.Fatalf("PE_BENCH_GUESTS: %q is not NAME=/BUNDLES[+ARGUMENTS]", entry)
		}
		all = append(all, variant{name, newest(t, dir), arguments})
	}
	return all
}

// newest is the folder of the guest with the newest kernel.
func newest(t testing.TB, bundles string) string {
	t.Helper()
	b, err := vm.LoadBundle(bundles, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	return b.Dir()
}

// gccImage is the EROFS file of the image with a compiler.
func gccImage(t testing.TB) string {
	t.Helper()
	reference := "oci:" + cached(t, "images", "gcc")
	sources := imagesync.Sources{AllowPaths: true}
	cache, err := imagesync.Open(imagesync.CacheConfig{Dir: t.TempDir(), Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: sources}).Resolve(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := cache.Get(t.Context(), reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.Release)
	return image.ErofsPath
}

// template is a baked machine with the image of gcc, of which any number can be restored.
type template struct {
	*qemu.Template
	name   string
	config qemu.Config
	runs   uint16
}

// bake boots a machine, warms it up, freezes that and saves it.
func bake(t testing.TB, v variant) *template {
	t.Helper()
	dir := t.TempDir()
	ram, state := create(t, dir, "ram"), create(t, dir, "state")
	c := qemu.Config{
		Arch: "amd64", Memory: 512 << 20, Append: v.arguments, CounterKHz: qemu.CounterKHz(),
		Kernel: filepath.Join(v.bundle, "kernel"), Initramfs: filepath.Join(v.bundle, "initramfs.cpio"),
		Disks: []qemu.Disk{{Name: "root", Path: gccImage(t), ReadOnly: true}},
	}
	for _, name := range []string{"input", "output"} {
		c.Disks = append(c.Disks, qemu.Disk{Name: name, File: create(t, dir, name), Size: 1 << 20})
	}
	booting := c
	booting.RAM = ram
	vm, err := qemu.Boot(t.Context(), booting)
	if err != nil {
		t.Fatal(err)
	}
	defer vm.Close()
	s, _, err := session.Open(t.Context(), vm.Channel(), session.Options{})
	if err != nil {
		t.Fatalf("%v; console: %s", err, vm.Console())
	}
	identify(t, s, "baked")
	if err := s.Mount(t.Context(), guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "root"}); err != nil {
		t.Fatal(err)
	}
	run(t, s, session.Request{Job: gccVersion()})
	if _, err := s.Freeze(t.Context()); err != nil {
		t.Fatal(err)
	}
	time.Sleep(idle)
	baked := &template{name: v.name, config: c, runs: s.Runs()}
	if err := vm.Bake(t.Context(), state); err != nil {
		t.Fatal(err)
	}
	if err := vm.Close(); err != nil {
		t.Fatal(err)
	}
	if baked.Template, err = qemu.Load(ram, state); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = baked.Close() })
	return baked
}

func create(t testing.TB, dir, name string) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// restore starts a copy, which says nothing by itself.
func (b *template) restore(t testing.TB) (*qemu.Machine, *session.Session) {
	t.Helper()
	vm, err := qemu.Restore(t.Context(), b.config, b.Template)
	if err != nil {
		t.Fatal(err)
	}
	return vm, session.Resume(vm.Channel(), session.Options{Runs: b.runs})
}

// identify gives a machine new randomness, the time, and a name.
func identify(t testing.TB, s *session.Session, name string) {
	t.Helper()
	random := make([]byte, 64)
	_, _ = rand.Read(random)
	err := s.Identify(t.Context(), guestproto.Identity{
		Entropy: random, ClockNS: time.Now().UnixNano(), Hostname: name, MachineID: fmt.Sprintf("%032x", name)[:32],
	})
	if err != nil {
		t.Fatal(err)
	}
}

// gccVersion is a job with its outputs on a disk, as an executor asks for it.
func gccVersion() *guestproto.Job {
	return &guestproto.Job{
		Argv: []string{"gcc", "--version"}, Env: []string{"PATH=/usr/local/bin:/usr/bin:/bin", "HOME=/root"}, Cwd: "/work",
		Limits: guestproto.Limits{WallMS: 60_000, CPUMS: 60_000, CPUsMilli: 1000, Memory: 256 << 20, PIDs: 256, Scratch: 128 << 20, Output: 1 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
		Output: guestproto.Output{Via: guestproto.ViaDisk, Serial: "output"},
	}
}

func run(t testing.TB, s *session.Session, q session.Request) session.Outcome {
	t.Helper()
	var said strings.Builder
	q.Stdout, q.Stderr = func(p []byte) { said.Write(p) }, func(p []byte) { said.Write(p) }
	out, err := s.Run(t.Context(), q)
	if err != nil || out.Exit.Code != 0 || out.Exit.Signal != 0 {
		t.Fatalf("%q: %v, %+v: %s", q.Job.Argv, err, out.Exit, said.String())
	}
	return out
}
