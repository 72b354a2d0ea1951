package vm_test

import (
	"archive/tar"
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
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

// newRunner makes a runner; host may be nil.
func newRunner(t *testing.T, host *vm.Host) *vm.Runner {
	t.Helper()
	return newRunnerOf(t, host, "amd64")
}

// newRunnerOf makes one of another architecture.
func newRunnerOf(t *testing.T, host *vm.Host, arch string) *vm.Runner {
	t.Helper()
	if _, err := qemu.FindBinary(arch); err != nil {
		if os.Getenv("PE_REQUIRE_ALL") == "1" {
			t.Fatalf("%v: run make setup", err)
		}
		t.Skipf("%v: run make setup", err)
	}
	cached(t, "guest", arch)
	bundle, err := vm.LoadBundle(cached(t, "guest"), arch)
	if err != nil {
		t.Fatal(err)
	}
	r, err := vm.New(vm.Config{Host: host, Bundle: bundle, Accel: qemu.TCG, RunDir: t.TempDir(), BootTimeout: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// image is one of those that setup has made.
func image(t *testing.T, name string) *imagesync.Image {
	t.Helper()
	return imageFor(t, name, "amd64")
}

// imageFor is that of another architecture in the same index.
func imageFor(t *testing.T, name, arch string) *imagesync.Image {
	t.Helper()
	cache, err := imagesync.Open(imagesync.CacheConfig{Dir: t.TempDir(), Sources: imagesync.Sources{AllowPaths: true}})
	if err != nil {
		t.Fatal(err)
	}
	reference := "oci:" + cached(t, "images", name)
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: imagesync.Sources{AllowPaths: true}}).Resolve(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := cache.Get(t.Context(), reference, resolved.Digest, arch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.Release)
	return image
}

// shapeOf is a small machine's, for an image.
func shapeOf(t *testing.T, image *imagesync.Image) executor.Shape {
	limits := schemas.JobSpec{Limits: schemas.Limits{MemoryBytes: 64 << 20, ScratchBytes: 64 << 20}}.WithDefaults().Limits
	shape := executor.NewShape(image, limits)
	shape.Name = strings.ToLower(t.Name())
	shape.Tenant = "t"
	return shape
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

// ran is what a job left.
type ran struct {
	executor.Ended
	stdout string
	stages []string
	files  map[string]string
}

// run takes a job through a machine of that shape.
func run(t *testing.T, r *vm.Runner, shape executor.Shape, job guestproto.Job) ran {
	t.Helper()
	m, err := r.Start(t.Context(), shape)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	}()
	got := ran{}
	got.Ended, err = m.Run(t.Context(), executor.Work{
		Job:    job,
		Stdout: func(p []byte) { got.stdout += string(p) },
		Stderr: func(p []byte) { t.Logf("stderr: %s", p) },
		Stage:  func(name string) { got.stages = append(got.stages, name) },
	})
	if err != nil {
		t.Fatal(err)
	}
	got.files = untar(t, got.Outputs)
	return got
}

func (r ran) has(span string) bool {
	return slices.ContainsFunc(r.Spans, func(s schemas.Span) bool { return s.Name == span })
}

// TestRunsJobWithOutputs boots a real machine and takes a job through it.
func TestRunsJobWithOutputs(t *testing.T) {
	t.Parallel()
	got := run(t, newRunner(t, nil), shapeOf(t, image(t, "busybox")), shellJob("echo hello; echo kept > /output/file"))
	if got.stdout != "hello\n" || got.Exit.Code != 0 || got.Start != schemas.StartBooted {
		t.Errorf("stdout %q, exit %+v, %s", got.stdout, got.Exit, got.Start)
	}
	if got := got.files["file"]; got != "kept\n" {
		t.Errorf("output file holds %q", got)
	}
	if !slices.Equal(got.stages, []string{"booted", "prepared", "running", "collected"}) || !got.has(schemas.SpanBooted) {
		t.Errorf("stages %v, spans %+v", got.stages, got.Spans)
	}
}

// TestCancelledStartLeavesNothing ends a machine while it boots.
func TestCancelledStartLeavesNothing(t *testing.T) {
	t.Parallel()
	r := newRunner(t, nil)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	m, err := r.Start(ctx, shapeOf(t, image(t, "busybox")))
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	if _, err := m.Run(t.Context(), executor.Work{Job: shellJob("true"), Stage: func(string) {}}); err == nil {
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
