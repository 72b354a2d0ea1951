package imagesync_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

type entry = imagetest.Entry

// local allows what tests need: paths and registries of this machine.
var local = imagesync.Sources{AllowPaths: true, AllowLoopback: true}

func openCache(t *testing.T, change func(*imagesync.CacheConfig)) *imagesync.Cache {
	t.Helper()
	config := imagesync.CacheConfig{Sources: local, Dir: t.TempDir()}
	if change != nil {
		change(&config)
	}
	c, err := imagesync.Open(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func resolve(t *testing.T, reference string) imagesync.Resolved {
	t.Helper()
	r, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: local}).Resolve(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// twoPlatforms writes a layout with an image for amd64 and one for riscv64.
func twoPlatforms(t *testing.T, seed string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "layout")
	config := v1.Config{Env: []string{"PATH=/bin", "SEED=" + seed}, Cmd: []string{"sh"}, Entrypoint: []string{"/e"}, WorkingDir: "/w", User: "1:2", Labels: map[string]string{"l": "v"}}
	imagetest.Layout(t, dir, imagetest.Index(t,
		imagetest.Image(t, "amd64", config, imagetest.Tar(t, entry{Name: "arch", Body: "amd64"}, entry{Name: "f", Body: seed}), imagetest.Tar(t, entry{Name: "f", Body: "upper " + seed})),
		imagetest.Image(t, "riscv64", config, imagetest.Tar(t, entry{Name: "arch", Body: "riscv64"}))))
	return "oci:" + dir
}

func TestGet(t *testing.T) {
	t.Parallel()
	reference := twoPlatforms(t, "get")
	resolved := resolve(t, reference)
	if want := []string{"linux/amd64", "linux/riscv64"}; !slices.Equal(resolved.Platforms, want) {
		t.Errorf("platforms %q, want %q", resolved.Platforms, want)
	}
	c := openCache(t, nil)
	image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	defer image.Release()
	raw, err := os.ReadFile(image.ErofsPath)
	if err != nil {
		t.Fatal(err)
	}
	if int64(len(raw)) != image.ErofsSize || sha256Hex(raw) != image.ErofsSHA256 {
		t.Error("the recorded size or digest is not the file's")
	}
	if !bytes.Contains(raw, []byte("upper get")) {
		t.Error("the upper layer's file is not in the image")
	}
	if image.Platform != "linux/amd64" || image.Reference != reference || image.Digest == resolved.Digest {
		t.Errorf("image %+v", image)
	}
	if c := image.Config; c.WorkingDir != "/w" || c.User != "1:2" || c.Labels["l"] != "v" || c.Env[1] != "SEED=get" || c.Cmd[0] != "sh" || c.Entrypoint[0] != "/e" {
		t.Errorf("config %+v", c)
	}
	other, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "riscv64")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Release()
	if other.ErofsSHA256 == image.ErofsSHA256 {
		t.Error("two platforms have the same file")
	}
	_, err = c.Get(t.Context(), resolved.Reference, resolved.Digest, "arm64")
	var typed *imagesync.Error
	if !errors.Is(err, imagesync.ErrWrongPlatform) || !errors.As(err, &typed) || !slices.Equal(typed.Platforms, resolved.Platforms) {
		t.Errorf("got %v with %+v, want the wrong platform, and which there are", err, typed)
	}
}

// TestSameBytesTwice: two caches build the same file.
func TestSameBytesTwice(t *testing.T) {
	t.Parallel()
	resolved := resolve(t, twoPlatforms(t, "same"))
	var sums [2]string
	for i := range sums {
		image, err := openCache(t, nil).Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
		if err != nil {
			t.Fatal(err)
		}
		sums[i] = image.ErofsSHA256
		image.Release()
	}
	if sums[0] != sums[1] {
		t.Error("the same image gave two different files")
	}
}

// builds counts the images that a cache has built, by its log.
type builds struct {
	slog.Handler
	mu sync.Mutex
	n  int
}

func (b *builds) Enabled(context.Context, slog.Level) bool { return true }
func (b *builds) Handle(_ context.Context, r slog.Record) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r.Message == "built image" {
		b.n++
	}
	return nil
}

func TestConcurrentGetsBuildOnce(t *testing.T) {
	t.Parallel()
	resolved := resolve(t, twoPlatforms(t, "once"))
	dir := t.TempDir()
	count := &builds{}
	// Two caches on one folder hold locks as two processes would.
	shared := func(config *imagesync.CacheConfig) { config.Dir, config.Log = dir, slog.New(count) }
	caches := []*imagesync.Cache{openCache(t, shared), openCache(t, shared)}
	var group sync.WaitGroup
	for i := range 12 {
		group.Go(func() {
			image, err := caches[i%2].Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
			if err != nil {
				t.Error(err)
				return
			}
			image.Release()
		})
	}
	group.Wait()
	if count.n != 1 {
		t.Errorf("built %d times", count.n)
	}
}

func TestProgress(t *testing.T) {
	t.Parallel()
	resolved := resolve(t, twoPlatforms(t, "progress"))
	var seen []imagesync.Progress
	ctx := imagesync.WithProgress(t.Context(), func(p imagesync.Progress) { seen = append(seen, p) })
	image, err := openCache(t, nil).Get(ctx, resolved.Reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	image.Release()
	if len(seen) == 0 {
		t.Fatal("no progress was told")
	}
	if last := seen[len(seen)-1]; last.Done != last.Total || last.Total == 0 {
		t.Errorf("the last progress is %+v", last)
	}
}

func TestEviction(t *testing.T) {
	t.Parallel()
	c := openCache(t, func(config *imagesync.CacheConfig) { config.MaxBytes = 12_000 })
	var images []*imagesync.Image
	for i := range 3 {
		resolved := resolve(t, twoPlatforms(t, fmt.Sprint("evict", i)))
		image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
		if err != nil {
			t.Fatal(err)
		}
		images = append(images, image)
	}
	for _, image := range images {
		if _, err := os.Stat(image.ErofsPath); err != nil {
			t.Errorf("an image in use is gone: %v", err)
		}
	}
	if err := c.Remove(images[0].Digest); !errors.Is(err, imagesync.ErrInUse) {
		t.Errorf("remove of an image in use: %v", err)
	}
	for _, image := range images {
		image.Release()
		image.Release() // twice is harmless
	}
	if err := c.Evict(); err != nil {
		t.Fatal(err)
	}
	list, err := c.List()
	if err != nil {
		t.Fatal(err)
	}
	if len(list) != 1 || list[0].Digest != images[2].Digest {
		t.Errorf("kept %+v, want the last used", list)
	}
	if err := c.Remove(images[2].Digest); err != nil {
		t.Error(err)
	}
	if err := c.Remove(images[2].Digest); !errors.Is(err, imagesync.ErrNotFound) {
		t.Errorf("second remove: %v", err)
	}
}

// TestCrash kills a process in the middle of a build: nothing half-made is seen,
// what it left is swept, and a build that lives is not.
func TestCrash(t *testing.T) {
	t.Parallel()
	reference := twoPlatforms(t, "crash")
	dir := t.TempDir()
	fifo := filepath.Join(t.TempDir(), "started")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	child := exec.Command(os.Args[0], "-test.run=^TestBuildForever$")
	child.Env = append(os.Environ(), "IMAGESYNC_CHILD_DIR="+dir, "IMAGESYNC_CHILD_FIFO="+fifo)
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.ReadFile(fifo); err != nil { // until the child is in its build
		t.Fatal(err)
	}
	work := func() []string {
		found, err := filepath.Glob(filepath.Join(dir, "tmp", "*"))
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	c := openCache(t, func(config *imagesync.CacheConfig) { config.Dir = dir })
	if len(work()) != 1 {
		t.Errorf("a second process's Open left %q of the first one's build", work())
	}
	if err := child.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	child.Wait()
	if list, err := c.List(); err != nil || len(list) != 0 {
		t.Errorf("after the crash: %+v, %v", list, err)
	}
	c = openCache(t, func(config *imagesync.CacheConfig) { config.Dir = dir })
	if len(work()) != 0 {
		t.Errorf("%q is left", work())
	}
	resolved := resolve(t, reference)
	image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	image.Release()
}

// TestBuildForever is what TestCrash runs in a process of its own.
func TestBuildForever(t *testing.T) {
	dir := os.Getenv("IMAGESYNC_CHILD_DIR")
	if dir == "" {
		return // only a helper
	}
	c, err := imagesync.Open(imagesync.CacheConfig{Sources: local, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	host := imagetest.Registry(t, stallBlobs(func() {
		os.WriteFile(os.Getenv("IMAGESYNC_CHILD_FIFO"), []byte("building"), 0o600)
		select {}
	}))
	big := imagetest.Tar(t, entry{Name: "big", Body: strings.Repeat("x", 1<<20)})
	reference := host + "/slow:1"
	digest := imagetest.Push(t, reference, imagetest.Index(t, imagetest.Image(t, "amd64", v1.Config{}, big)))
	c.Get(t.Context(), reference, digest, "amd64")
}

func TestCancelledGetLeavesNothing(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	blocked := make(chan struct{})
	host := imagetest.Registry(t, stallBlobs(func() { cancel(); <-blocked }))
	t.Cleanup(func() { close(blocked) }) // before the registry stops
	big := imagetest.Tar(t, entry{Name: "big", Body: strings.Repeat("x", 1<<20)})
	digest := imagetest.Push(t, host+"/slow:1", imagetest.Index(t, imagetest.Image(t, "amd64", v1.Config{}, big)))
	dir := t.TempDir()
	c := openCache(t, func(config *imagesync.CacheConfig) { config.Dir = dir })
	started := time.Now()
	if _, err := c.Get(ctx, host+"/slow:1", digest, "amd64"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	if took := time.Since(started); took > 30*time.Second {
		t.Errorf("a cancelled Get took %s", took)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "tmp", "*")); len(left) != 0 {
		t.Errorf("left %q", left)
	}
}

// TestDamagedCacheIsBuiltAgain: a file that does not have its recorded size, and
// a record that cannot be read.
func TestDamagedCacheIsBuiltAgain(t *testing.T) {
	t.Parallel()
	resolved := resolve(t, twoPlatforms(t, "damage"))
	c := openCache(t, nil)
	for _, damage := range []func(erofs string) error{
		func(erofs string) error { return os.Truncate(erofs, 100) },
		func(erofs string) error {
			return os.WriteFile(filepath.Join(filepath.Dir(erofs), "image.json"), []byte("{"), 0o644)
		},
		func(erofs string) error { return os.Remove(erofs) },
	} {
		image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
		if err != nil {
			t.Fatal(err)
		}
		image.Release()
		if err := damage(image.ErofsPath); err != nil {
			t.Fatal(err)
		}
	}
	image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	image.Release()
}
