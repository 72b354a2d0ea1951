package vmbench

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// cached finds what deploy/setup.sh and make guest leave, or ends the test.
func cached(t *testing.T, elem ...string) string {
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

func busybox(t *testing.T) *imagesync.Image {
	t.Helper()
	sources := imagesync.Sources{AllowPaths: true}
	cache, err := imagesync.Open(imagesync.CacheConfig{Dir: t.TempDir(), Sources: sources})
	if err != nil {
		t.Fatal(err)
	}
	reference := "oci:" + cached(t, "images", "busybox")
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: sources}).Resolve(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := cache.Get(t.Context(), reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.Release)
	return image
}

func content(t *testing.T, path string) snapshot.File {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	h := sha256.New()
	n, err := io.Copy(h, f)
	if err != nil {
		t.Fatal(err)
	}
	return snapshot.File{SHA256: hex.EncodeToString(h.Sum(nil)), Size: n}
}

// baked is a Config without a measure, for a machine that was baked from the busybox image.
func baked(t *testing.T) Config {
	t.Helper()
	binary, err := qemu.FindBinary("amd64")
	if err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatalf("%v: install the package qemu-system-x86", err)
		}
		t.Skipf("%v: install the package qemu-system-x86", err)
	}
	bundle, err := vm.LoadBundle(cached(t, "guest"), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	run, image := t.TempDir(), busybox(t)
	machine := qemu.Config{
		Arch: "amd64", Binary: binary, Memory: 256 << 20, Accel: qemu.TCG, RunDir: run, CounterKHz: qemu.CounterKHz(),
		Kernel: bundle.Kernel(), Initramfs: bundle.Initramfs(),
	}
	var users atomic.Int32
	describe := func() (qemu.Config, func(), error) {
		c := machine
		disk, err := os.CreateTemp(t.TempDir(), "disk")
		if err != nil {
			return c, nil, err
		}
		c.Disks = []qemu.Disk{{Name: "output", File: disk, Size: 4096}}
		c.User = qemu.SlotUser(200 + int(users.Add(1)))
		return c, func() { _ = disk.Close() }, nil
	}
	c := Config{Rootfs: image.ErofsPath, RootDisk: "root", Describe: describe, Dir: t.TempDir(), Watch: []string{run}}
	key := snapshot.Key{
		Recipe: []string{"test"}, Memory: machine.Memory, QEMU: content(t, binary), Rootfs: content(t, image.ErofsPath),
		Kernel: content(t, machine.Kernel), Initramfs: content(t, machine.Initramfs),
	}
	store, err := snapshot.Open(snapshot.Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	c.Snapshot, _, err = store.Get(t.Context(), key, image.ErofsPath, func(ctx context.Context, d snapshot.Draft) (json.RawMessage, error) {
		m, _, err := describe()
		if err != nil {
			return nil, err
		}
		m.Disks = append([]qemu.Disk{{Name: "root", Path: d.Rootfs, ReadOnly: true}}, m.Disks...)
		m.RAM = d.RAM
		return nil, bake(ctx, m, d.State)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Snapshot.Release)
	return c
}

func bake(ctx context.Context, c qemu.Config, state *os.File) error {
	m, err := qemu.Boot(ctx, c)
	if err != nil {
		return err
	}
	s, _, err := session.Open(ctx, m.Channel(), session.Options{})
	if err == nil {
		err = s.Identify(ctx, identity(0))
	}
	if err == nil {
		err = s.Mount(ctx, guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "root"})
	}
	if err == nil {
		err = m.Bake(ctx, state)
	}
	return errors.Join(err, m.Close())
}

func shell(command string) guestproto.Job {
	return guestproto.Job{
		Argv: []string{"sh", "-c", command}, Env: []string{"PATH=/bin:/usr/bin"}, Cwd: "/",
		Limits: guestproto.Limits{WallMS: 60_000, Memory: 128 << 20, PIDs: 64, Scratch: 64 << 20, Output: 1 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
		Output: guestproto.Output{Via: guestproto.ViaNone},
	}
}

// TestMeasures takes each measure with real machines, of which one was baked.
func TestMeasures(t *testing.T) {
	c := baked(t)
	c.Jobs = []guestproto.Job{shell("true")}
	results := map[string]Result{}
	for _, m := range []struct {
		name           string
		times, workers int
	}{{Restore, 2, 1}, {Discard, 4, 2}, {Store, 2, 2}, {PSS, 2, 2}, {Soak, 10, 1}} {
		c.Measure, c.Times, c.Workers = m.name, m.times, m.workers
		last := 0
		c.Progress = func(done, _ int) { last = done }
		r, err := Run(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if len(r.SamplesMS) != m.times || len(r.CPUMS) != m.times || r.PerSecond <= 0 || last < m.times || Median(r.CPUMS) <= 0 {
			t.Errorf("%s: progress %d: %+v", m.name, last, r)
		}
		if r.Leaked.Any() {
			t.Errorf("%s left %+v", m.name, r.Leaked)
		}
		results[m.name] = r
		t.Logf("%s: %.1f ms, %.1f/s; %+v", m.name, Median(r.SamplesMS), r.PerSecond, r)
	}
	if r := results[Restore]; len(r.BootMS) != 2 || Median(r.BootMS) < 2*Median(r.SamplesMS) {
		t.Errorf("boots take %v, restores %v", r.BootMS, r.SamplesMS)
	}
	if r := results[Store]; len(r.StoredBytes) != 2 || r.StoredBytes[0] < 1<<20 || len(r.PhasesMS) != 4 {
		t.Errorf("stored %v, by %v", r.StoredBytes, r.PhasesMS)
	}
	if r := results[PSS]; r.PSSBytes < 4<<20 || r.TemplateBytes < 1<<20 || r.TemplateUnmappedBytes >= r.TemplateBytes {
		t.Errorf("%d bytes, of a template of %d are %d unmapped", r.PSSBytes, r.TemplateBytes, r.TemplateUnmappedBytes)
	}
	if r := results[Soak]; r.RSSSlope == nil || len(r.RSS) != 10 || r.RSS[0][1] == 0 {
		t.Errorf("soak: %v", r.RSS)
	}
	ctx, stop := context.WithCancelCause(t.Context())
	c.Measure, c.Times = Discard, 1000
	before := (&bench{Config: c}).count()
	interrupted := errors.New("interrupted")
	c.Progress = func(int, int) { stop(interrupted) }
	if _, err := Run(ctx, c); !errors.Is(err, interrupted) {
		t.Errorf("ended with %v", err)
	}
	if left := (&bench{Config: c}).count().less(before); left.Any() {
		t.Errorf("the interrupted one left %+v", left)
	}
	c.Measure, c.Jobs = PSS, []guestproto.Job{shell("exit 3")}
	c.Progress = nil
	c.Times = 1
	if _, err := Run(t.Context(), c); err == nil {
		t.Error("a job that fails is measured")
	}
	if left := (&bench{Config: c}).count().less(before); left.Any() {
		t.Errorf("the failed one left %+v", left)
	}
}
