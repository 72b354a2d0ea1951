package vm_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// newHost makes a host with snapshots in dir, and a pool if it may use memory.
func newHost(t *testing.T, dir string, change func(*vm.HostConfig)) (*vm.Host, *prometheus.Registry) {
	t.Helper()
	store, err := snapshot.Open(snapshot.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	registry := prometheus.NewRegistry()
	// Tests bake at the same time, and are one tenant.
	c := vm.HostConfig{Snapshots: store, Metrics: registry, BakePatience: time.Hour}
	if change != nil {
		change(&c)
	}
	host, err := vm.NewHost(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := host.Close(); err != nil {
			t.Error(err)
		}
	})
	return host, registry
}

func counted(t *testing.T, r *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := r.Gather()
	if err != nil {
		t.Fatal(err)
	}
	sum := 0.0
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				sum += m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// TestBakesThenRestoresThenPools: the first job of an image bakes, the next finds
// the snapshot, and once the pool had time a machine waits. All run the same job.
func TestBakesThenRestoresThenPools(t *testing.T) {
	t.Parallel()
	host, registry := newHost(t, t.TempDir(), func(c *vm.HostConfig) { c.PoolBytes = 1 << 30 })
	r := newRunner(t, host)
	shape := shapeOf(t, image(t, "busybox"))
	shape.Image.Warmup = []imagesync.Warmup{{Argv: []string{"sh", "-c", "echo installed >> /etc/installed"}, Timeout: time.Minute}}
	shape = withName(executor.NewShape(shape.Image, schemas.JobSpec{}.WithDefaults().Limits), "first")
	job := shellJob("cat /etc/installed; hostname; echo out > /output/file; ls /work /tmp")
	first := run(t, r, shape, job)
	if first.Start != schemas.StartRestored || !first.has(schemas.SpanBooted) || !first.has(schemas.SpanRestored) {
		t.Errorf("first: %s, spans %+v", first.Start, first.Spans)
	}
	deadline := time.Now().Add(time.Minute)
	var got ran
	for got.Start != schemas.StartPooled {
		if time.Now().After(deadline) {
			t.Fatal("no machine ever waits")
		}
		got = run(t, r, withName(shape, "later"), job)
		if got.Start != schemas.StartBooted && got.has(schemas.SpanBooted) {
			t.Fatalf("baked again: %+v", got.Spans)
		}
	}
	for name, g := range map[string]ran{"first": first, "pooled": got} {
		if !strings.HasPrefix(g.stdout, "installed\n") || strings.Count(g.stdout, "installed") != 1 || g.files["file"] != "out\n" {
			t.Errorf("%s: stdout %q, outputs %q", name, g.stdout, g.files)
		}
	}
	if first.stdout == got.stdout {
		t.Errorf("two machines have one hostname: %q", got.stdout)
	}
	if n := counted(t, registry, "pe_executor_vm_fallbacks_total"); n != 0 {
		t.Errorf("%v machines booted instead", n)
	}
	for _, s := range got.Spans {
		t.Logf("pooled %s: %.1f ms", s.Name, float64(s.EndUS-s.StartUS)/1000)
	}
}

func withName(s executor.Shape, name string) executor.Shape {
	s.Name, s.Tenant = name, "t"
	return s
}

// A snapshot that can't be restored costs its job a boot and nothing else.
func TestBrokenSnapshotIsSetAside(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	host, registry := newHost(t, dir, nil)
	r := newRunner(t, host)
	shape := shapeOf(t, image(t, "busybox"))
	snap, baked, err := r.Snapshot(t.Context(), shape)
	if err != nil || !baked {
		t.Fatalf("baked %v: %v", baked, err)
	}
	id := snap.Manifest().ID
	snap.Release()
	spoil(t, filepath.Join(dir, "ready", id, "state"))
	got := run(t, r, shape, shellJob("echo hello"))
	if got.stdout != "hello\n" || got.Start != schemas.StartBooted {
		t.Errorf("stdout %q, %s", got.stdout, got.Start)
	}
	if f, a := counted(t, registry, "pe_executor_vm_fallbacks_total"), counted(t, registry, "pe_executor_vm_snapshots_set_aside_total"); f != 1 || a != 1 {
		t.Errorf("%v fallbacks, %v set aside", f, a)
	}
	if _, err := os.Stat(filepath.Join(dir, "broken", id)); err != nil {
		t.Error(err)
	}
	if again := run(t, r, shape, shellJob("echo hello")); again.Start != schemas.StartRestored || !again.has(schemas.SpanBooted) {
		t.Errorf("not baked again: %s, %+v", again.Start, again.Spans)
	}
}

// spoil changes a byte in the middle of a file.
func spoil(t *testing.T, path string) {
	t.Helper()
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[len(b)/2] ^= 0x10
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// An image whose warm-up fails can't be used: its jobs would lack what it installs.
func TestFailingWarmupIsTold(t *testing.T) {
	t.Parallel()
	host, _ := newHost(t, t.TempDir(), nil)
	r := newRunner(t, host)
	shape := shapeOf(t, image(t, "busybox"))
	shape.Image.Warmup = []imagesync.Warmup{{Argv: []string{"sh", "-c", "echo cannot >&2; exit 3"}, Timeout: time.Minute}}
	shape = withName(executor.NewShape(shape.Image, schemas.JobSpec{}.WithDefaults().Limits), "warmup")
	for range 2 { // the second is told at once
		m, err := r.Start(t.Context(), shape)
		if err != nil {
			t.Fatal(err)
		}
		_, err = m.Run(t.Context(), executor.Work{Job: shellJob("true"), Stage: func(string) {}})
		var warmup *executor.WarmupError
		if !errors.As(err, &warmup) || !strings.Contains(warmup.Reason, "exit code 3") || !strings.Contains(warmup.Reason, "cannot") {
			t.Errorf("error %v", err)
		}
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}
}

// No client can have machines baked without end.
func TestBakesAreLimited(t *testing.T) {
	t.Parallel()
	host, registry := newHost(t, t.TempDir(), func(c *vm.HostConfig) { c.BakeBurst, c.BakeEvery = 1, time.Hour })
	r := newRunner(t, host)
	shape := shapeOf(t, image(t, "busybox"))
	if got := run(t, r, shape, shellJob("true")); got.Start != schemas.StartRestored {
		t.Errorf("first: %s", got.Start)
	}
	shape.MemoryBytes *= 2
	if got := run(t, r, shape, shellJob("true")); got.Start != schemas.StartBooted {
		t.Errorf("over the limit: %s", got.Start)
	}
	if n := counted(t, registry, "pe_executor_vm_fallbacks_total"); n != 1 {
		t.Errorf("%v fallbacks", n)
	}
	shape.Tenant = "another"
	if got := run(t, r, shape, shellJob("true")); got.Start != schemas.StartRestored {
		t.Errorf("another tenant: %s", got.Start)
	}
}
