//go:build linux

package oci

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/program-explorer/pe/executor/guestsuite"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/hosttest"
	"github.com/program-explorer/pe/schemas"
)

// workDir outlives the tests that share what is in it. Users of containers pass through it.
var workDir string

// programs are built for these tests.
var programs *hosttest.Programs

// guestrd is the path of the guest's init; the processes of TestSweep's have that of their parent.
func guestrd() string {
	if programs == nil {
		return filepath.Join(workDir, "guestrd")
	}
	return programs.Path("guestrd")
}

func TestMain(m *testing.M) { os.Exit(withWorkDir(m)) }

func withWorkDir(m *testing.M) int {
	if workDir = os.Getenv(sweepWork); workDir != "" { // a process of TestSweep's, which is killed
		return m.Run()
	}
	var err error
	if workDir, err = os.MkdirTemp("", "pe-oci-test-"); err != nil {
		panic(err)
	}
	defer os.RemoveAll(workDir)
	if err := os.Chmod(workDir, 0o755); err != nil {
		panic(err)
	}
	if programs, err = (hosttest.Build{Into: workDir, Packages: []string{"github.com/program-explorer/pe/cmd/guestrd"}}).Static().Make(); err != nil {
		panic(err)
	}
	return m.Run()
}

// missing ends a test on a machine that lacks something: as a failure where everything is required.
func missing(tb testing.TB, what string) {
	tb.Helper()
	if os.Getenv("PE_REQUIRE_ALL") == "1" {
		tb.Fatal(what)
	}
	tb.Skip(what)
}

// cached finds what deploy/setup.sh leaves, or ends the test.
func cached(tb testing.TB, elem ...string) string {
	tb.Helper()
	dir := os.Getenv("PE_CACHE")
	if dir == "" {
		dir = "../../.cache"
	}
	path, err := filepath.Abs(filepath.Join(append([]string{dir}, elem...)...))
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		missing(tb, err.Error()+": run deploy/setup.sh --for test")
	}
	return path
}

// kinds are all ways to run contained machines.
var kinds = []string{schemas.IsolationGVisor, schemas.IsolationContainer}

func runtimeOf(tb testing.TB, kind string) string {
	tb.Helper()
	if kind == schemas.IsolationGVisor {
		return cached(tb, "bin", "runsc")
	}
	path, err := exec.LookPath("runc")
	if err != nil {
		missing(tb, err.Error()+": run deploy/setup.sh --for test")
	}
	return path
}

// folder is one that users of containers can pass through; a test's own can't be.
func folder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp(workDir, "run-")
	if err != nil {
		tb.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		tb.Fatal(err)
	}
	return dir
}

// newRunner makes a runner that ends with the test, which then has left nothing.
func newRunner(tb testing.TB, kind string, change func(*Config)) *Runner {
	tb.Helper()
	if os.Geteuid() != 0 {
		missing(tb, "contained machines need root")
	}
	c := Config{Kind: kind, Runtime: runtimeOf(tb, kind), Guest: guestrd(), RunDir: folder(tb), LayerDir: folder(tb)}
	if kind == schemas.IsolationContainer {
		c.Allow = []string{"oci:" + cached(tb, "images", "busybox"), "oci:" + cached(tb, "images", "gcc")}
	}
	if change != nil {
		change(&c)
	}
	r, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := r.Close(); err != nil {
			tb.Error(err)
		}
		if left, _ := filepath.Glob(filepath.Join(c.RunDir, "*")); len(left) > 0 {
			tb.Errorf("the runner left %q", left)
		}
	})
	return r
}

// image is one of those that setup has made.
func image(tb testing.TB, name string) *imagesync.Image {
	tb.Helper()
	sources := imagesync.Sources{AllowPaths: true}
	cache, err := imagesync.Open(imagesync.CacheConfig{Dir: filepath.Join(workDir, "images"), Sources: sources})
	if err != nil {
		tb.Fatal(err)
	}
	reference := "oci:" + cached(tb, "images", name)
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: sources}).Resolve(tb.Context(), reference)
	if err != nil {
		tb.Fatal(err)
	}
	image, err := cache.Get(tb.Context(), reference, resolved.Digest, "amd64")
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(image.Release)
	return image
}

// boot makes a machine that ends with the test.
func boot(tb testing.TB, r *Runner, image *imagesync.Image) *guest {
	tb.Helper()
	g, err := r.boot(tb.Context(), "test-"+unique(), image, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := g.close(); err != nil {
			tb.Error(err)
		}
	})
	return g
}

// fresh has each run of the suite in a machine of its own, as jobs do.
type fresh struct {
	t      *testing.T
	runner *Runner
	image  *imagesync.Image
	last   *guest
}

func (f *fresh) Run(ctx context.Context, q session.Request) (session.Outcome, error) {
	if f.last != nil {
		if err := f.last.close(); err != nil {
			return session.Outcome{}, err
		}
	}
	var err error
	if f.last, err = f.runner.boot(ctx, "suite-"+unique(), f.image, nil); err != nil {
		return session.Outcome{}, err
	}
	out, err := f.last.Run(ctx, q)
	if err != nil {
		err = f.last.explain(err)
	}
	return out, err
}

func (f *fresh) Kill(reason, limit string) { f.last.Kill(reason, limit) }

func TestSuite(t *testing.T) {
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			r, image := newRunner(t, kind, nil), image(t, "busybox")
			guestsuite.Run(t, func(t *testing.T) guestsuite.Runner {
				f := &fresh{t: t, runner: r, image: image}
				t.Cleanup(func() {
					if f.last != nil {
						if err := f.last.close(); err != nil {
							t.Error(err)
						}
					}
				})
				return f
			})
		})
	}
}

// TestSuiteOverTree is for hosts whose kernel can't mount images.
func TestSuiteOverTree(t *testing.T) {
	cases := guestsuite.Surroundings()
	for _, kind := range kinds {
		t.Run(kind, func(t *testing.T) {
			r, image := newRunner(t, kind, func(c *Config) { c.Extract = true }), image(t, "busybox")
			f := &fresh{t: t, runner: r, image: image}
			defer func() {
				if f.last != nil {
					f.last.close()
				}
			}()
			guestsuite.RunCases(t, func(*testing.T) guestsuite.Runner { return f }, cases)
		})
	}
}
