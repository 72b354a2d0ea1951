package vm_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
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

func newRunner(t *testing.T) *vm.Runner {
	t.Helper()
	bundle, err := vm.LoadBundle(cached(t, "guest"), "amd64")
	if err != nil {
		t.Fatal(err)
	}
	r, err := vm.New(vm.Config{Bundle: bundle, Accel: qemu.TCG, RunDir: t.TempDir(), BootTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// busybox is the EROFS file of the smallest image.
func busybox(t *testing.T) string {
	t.Helper()
	cache, err := imagesync.Open(imagesync.CacheConfig{Dir: t.TempDir(), Sources: imagesync.Sources{AllowPaths: true}})
	if err != nil {
		t.Fatal(err)
	}
	reference := "oci:" + cached(t, "images", "busybox")
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: imagesync.Sources{AllowPaths: true}}).Resolve(t.Context(), reference)
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

func disk(t *testing.T, size int64) *os.File {
	t.Helper()
	f, err := os.CreateTemp(t.TempDir(), "disk")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return f
}

func shellJob(command string) guestproto.Job {
	return guestproto.Job{
		Argv:   []string{"sh", "-c", command},
		Env:    []string{"PATH=/bin:/usr/bin"},
		Cwd:    "/work",
		Limits: guestproto.Limits{WallMS: 30_000, Memory: 64 << 20, PIDs: 64, Scratch: 64 << 20, Output: 1 << 20, Log: 1 << 20},
		Input:  guestproto.Input{Via: guestproto.ViaNone},
		Stdin:  guestproto.Stdin{Via: guestproto.ViaNone},
	}
}

// TestRunsJobWithOutputs boots a real machine and takes a job through it.
func TestRunsJobWithOutputs(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	shape := executor.Shape{Name: "t-outputs", Rootfs: busybox(t), CPUs: 1, MemoryBytes: 128 << 20, Input: disk(t, 4096), Output: disk(t, 80<<20)}
	m, err := r.Start(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	var stdout strings.Builder
	var stages []string
	ended, err := m.Run(t.Context(), executor.Work{
		Job:    shellJob("echo hello; echo kept > /output/file"),
		Stdout: func(p []byte) { stdout.Write(p) },
		Stderr: func(p []byte) { t.Logf("stderr: %s", p) },
		Stage:  func(name string) { stages = append(stages, name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if stdout.String() != "hello\n" || ended.Exit.Code != 0 {
		t.Errorf("stdout %q, exit %+v", stdout.String(), ended.Exit)
	}
	if got := untar(t, ended.Outputs)["file"]; got != "kept\n" {
		t.Errorf("output file holds %q", got)
	}
	for _, s := range ended.Spans {
		t.Logf("%s: %.1f ms", s.Name, float64(s.EndUS-s.StartUS)/1000)
	}
	if len(stages) != 3 {
		t.Errorf("stages %v, want prepared, running, collected", stages)
	}
}

// TestCancelledStartLeavesNothing ends a machine while it boots.
func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRunner(t)
	ctx, cancel := context.WithCancel(t.Context())
	shape := executor.Shape{Name: "t-cancel", Rootfs: busybox(t), CPUs: 1, MemoryBytes: 64 << 20, Input: disk(t, 4096), Output: disk(t, 4096)}
	cancel()
	if m, err := r.Start(ctx, shape); err == nil {
		m.Close()
		t.Fatal("a cancelled start gave a machine")
	}
}

func untar(t *testing.T, r io.Reader) map[string]string {
	t.Helper()
	files := map[string]string{}
	if r == nil {
		return files
	}
	for in := tar.NewReader(r); ; {
		h, err := in.Next()
		if err == io.EOF {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if _, err := io.Copy(&content, in); err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "./")] = content.String()
	}
}
