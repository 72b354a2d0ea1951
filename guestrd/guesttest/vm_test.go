package guesttest

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/guestsuite"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/guestrd/build"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// fixture is what all machines of this package are made of.
type fixture struct {
	bundle string // folder of the kernel and the initramfs
	image  string // busybox as EROFS
}

// workDir outlives the tests that share the fixture.
var workDir string

func TestMain(m *testing.M) {
	var err error
	if workDir, err = os.MkdirTemp("", "pe-guesttest-"); err != nil {
		panic(err)
	}
	code := m.Run()
	os.RemoveAll(workDir)
	os.Exit(code)
}

var built = sync.OnceValues(func() (fixture, error) { return makeFixture(workDir) })

// arch is the guest's architecture: PE_GUEST_ARCH, or amd64.
var arch = cmp.Or(os.Getenv("PE_GUEST_ARCH"), "amd64")

func cacheDir() string {
	if dir := os.Getenv("PE_CACHE"); dir != "" {
		return dir
	}
	return "../../.cache"
}

// need skips a test on a machine that lacks something, or fails it where everything is required.
func need(tb testing.TB) fixture {
	tb.Helper()
	missing := ""
	if _, err := qemu.FindBinary(arch); err != nil {
		missing = err.Error()
	}
	for _, path := range []string{"kernels/" + arch, "images/busybox"} {
		if _, err := os.Stat(filepath.Join(cacheDir(), path)); err != nil {
			missing = fmt.Sprintf("%s is not in the cache: run make setup", path)
		}
	}
	if missing != "" {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			tb.Fatal(missing)
		}
		tb.Skip(missing)
	}
	f, err := built()
	if err != nil {
		tb.Fatal(err)
	}
	return f
}

func makeFixture(dir string) (fixture, error) {
	ctx := context.Background()
	if err := os.Chmod(dir, 0o755); err != nil { // QEMU may run as another user
		return fixture{}, err
	}
	programs, err := hosttest.Build{
		Into: dir, Packages: []string{"github.com/program-explorer/pe/cmd/guestrd"}, Env: []string{"GOARCH=" + arch},
	}.Static().Make()
	if err != nil {
		return fixture{}, err
	}
	config := build.Config{Arch: arch, Kernel: filepath.Join(cacheDir(), "kernels", arch), Guestrd: programs.Path("guestrd"), Out: filepath.Join(dir, "bundle")}
	made, err := build.Build(ctx, config)
	if err != nil {
		return fixture{}, err
	}
	layout, err := filepath.Abs(filepath.Join(cacheDir(), "images/busybox"))
	if err != nil {
		return fixture{}, err
	}
	sources := imagesync.Sources{AllowPaths: true}
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: sources}).Resolve(ctx, "oci:"+layout)
	if err != nil {
		return fixture{}, err
	}
	cache, err := imagesync.Open(imagesync.CacheConfig{Dir: filepath.Join(dir, "images"), Sources: sources})
	if err != nil {
		return fixture{}, err
	}
	image, err := cache.Get(ctx, resolved.Reference, resolved.Digest, arch)
	if err != nil {
		return fixture{}, err
	}
	defer image.Release()
	return fixture{bundle: filepath.Join(config.Out, arch, made.KernelRelease), image: image.ErofsPath}, nil
}

// machine is a booted machine with its session.
type machine struct {
	*session.Session
	qemu  *qemu.Machine
	ready guestproto.Ready
	boot  time.Duration
}

// boot starts a machine that ends with tb.
func boot(tb testing.TB, arguments string, disks ...qemu.Disk) *machine {
	tb.Helper()
	f := need(tb)
	begin := time.Now()
	vm, err := qemu.Boot(tb.Context(), qemu.Config{
		Arch: arch, Memory: 512 << 20, Append: arguments,
		Kernel: filepath.Join(f.bundle, build.KernelFile), Initramfs: filepath.Join(f.bundle, build.InitramfsFile),
		Disks: append([]qemu.Disk{{Name: "root", Path: f.image, ReadOnly: true}}, disks...),
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		vm.Close()
		if tb.Failed() {
			tb.Logf("console:\n%s", vm.Console())
		}
	})
	s, ready, err := session.Open(tb.Context(), vm.Channel(), session.Options{})
	if err != nil {
		tb.Fatalf("wait for the guest: %v", err)
	}
	tb.Cleanup(func() { s.Close() })
	return &machine{Session: s, qemu: vm, ready: ready, boot: time.Since(begin)}
}

// mounted is a machine that is ready for jobs.
func mounted(tb testing.TB, disks ...qemu.Disk) *machine {
	tb.Helper()
	return mount(tb, boot(tb, "", disks...))
}

func mount(tb testing.TB, m *machine) *machine {
	tb.Helper()
	m.identify(tb)
	if err := m.Mount(tb.Context(), guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "root"}); err != nil {
		tb.Fatal(err)
	}
	return m
}

func (m *machine) identify(tb testing.TB) guestproto.Identity {
	tb.Helper()
	random := make([]byte, 96)
	if _, err := rand.Read(random); err != nil {
		tb.Fatal(err)
	}
	id := guestproto.Identity{
		Entropy: random[:64], ClockNS: time.Now().UnixNano(),
		Hostname: "pe-" + hex.EncodeToString(random[64:68]), MachineID: hex.EncodeToString(random[80:]),
	}
	if err := m.Identify(tb.Context(), id); err != nil {
		tb.Fatal(err)
	}
	return id
}

func TestSuite(t *testing.T) {
	guestsuite.Run(t, func(t *testing.T) guestsuite.Runner { return mounted(t) })
}

// TestSuiteWithPlainIDs is for kernels that can't map an image's owners.
func TestSuiteWithPlainIDs(t *testing.T) {
	cases := append(guestsuite.Surroundings(), guestsuite.Isolation()...)
	guestsuite.RunCases(t, func(t *testing.T) guestsuite.Runner { return mount(t, boot(t, "pe_plain_ids=1")) }, cases)
}

// The job's root is the machine's root only where there is no other way.
func TestUserNamespace(t *testing.T) {
	for arguments, want := range map[string]string{"": "0 100000 65536", "pe_plain_ids=1": "0 0 65536"} {
		m := mount(t, boot(t, arguments))
		_, got := m.run(t, session.Request{Job: shell("cat /proc/self/uid_map")})
		if got = strings.Join(strings.Fields(got), " "); got != want {
			t.Errorf("%q: users %q, want %q", arguments, got, want)
		}
	}
}

// shell is a job that runs a line.
func shell(line string) *guestproto.Job {
	return &guestproto.Job{
		Argv: []string{"/bin/sh", "-c", line}, Env: []string{"PATH=/usr/bin:/bin"}, Cwd: "/work",
		Limits: guestproto.Limits{WallMS: 60_000, Scratch: 128 << 20, Output: 100 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaNone}, Output: guestproto.Output{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
	}
}

// run runs a job that must succeed and returns its stdout.
func (m *machine) run(tb testing.TB, q session.Request) (session.Outcome, string) {
	tb.Helper()
	var stdout, stderr bytes.Buffer
	q.Stdout = func(p []byte) { stdout.Write(p) }
	q.Stderr = func(p []byte) { stderr.Write(p) }
	out, err := m.Run(tb.Context(), q)
	if err != nil {
		tb.Fatalf("run %q: %v", q.Job.Argv, err)
	}
	if out.Exit.Code != 0 || out.Exit.Signal != 0 {
		tb.Fatalf("run %q: %+v: %s", q.Job.Argv, out.Exit, stderr.String())
	}
	return out, strings.TrimSpace(stdout.String())
}
