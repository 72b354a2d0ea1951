package imagesync_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

// TestImport: an imported name works after its source is gone, all platforms.
func TestImport(t *testing.T) {
	t.Parallel()
	source := twoPlatforms(t, "import")
	dir := t.TempDir()
	strict := func(config *imagesync.CacheConfig) { config.Dir, config.Sources = dir, imagesync.Sources{} }
	c := openCache(t, strict)
	imported, err := c.Import(t.Context(), source, "tool:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(strings.TrimPrefix(source, "oci:")); err != nil {
		t.Fatal(err)
	}
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: imagesync.Sources{ImportsDir: dir}}).Resolve(t.Context(), "tool:1")
	if err != nil {
		t.Fatal(err)
	}
	if resolved.Digest != imported.Digest || len(resolved.Platforms) != 2 || resolved.Reference != "tool:1" {
		t.Errorf("resolved %+v, imported %+v", resolved, imported)
	}
	for _, arch := range []string{"amd64", "riscv64"} {
		image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, arch)
		if err != nil {
			t.Fatal(err)
		}
		image.Release()
	}
	list, err := c.List()
	if err != nil || len(list) != 3 {
		t.Errorf("list %+v, %v", list, err)
	}
	if err := c.Remove("tool:1"); err != nil {
		t.Fatal(err)
	}
	blobs, err := filepath.Glob(filepath.Join(dir, "imports", "blobs", "sha256", "*"))
	if err != nil || len(blobs) != 0 {
		t.Errorf("after the removal there are blobs %q, %v", blobs, err)
	}
	if _, err := c.Import(t.Context(), source, "tool"); !errors.Is(err, imagesync.ErrNotFound) {
		t.Errorf("import of nothing: %v", err)
	}
	if _, err := c.Import(t.Context(), source, "../tool"); !errors.Is(err, imagesync.ErrInvalid) {
		t.Errorf("import under a bad name: %v", err)
	}
}

// TestImportVerifies: a blob that is not what its name says is not taken.
func TestImportVerifies(t *testing.T) {
	t.Parallel()
	source := twoPlatforms(t, "verify")
	blobs, err := filepath.Glob(filepath.Join(strings.TrimPrefix(source, "oci:"), "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	for _, blob := range blobs {
		raw, err := os.ReadFile(blob)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(raw, []byte{0x1f, 0x8b}) {
			raw[len(raw)-5] ^= 1
			if err := os.WriteFile(blob, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if _, err := openCache(t, nil).Import(t.Context(), source, "tool"); !errors.Is(err, imagesync.ErrInvalid) {
		t.Errorf("got %v", err)
	}
}

func TestDockerArchive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "saved.tar")
	image := imagetest.Image(t, "arm64", v1.Config{Cmd: []string{"sh"}},
		imagetest.Tar(t, entry{Name: "f", Body: "lower"}), imagetest.Tar(t, entry{Name: "f", Body: "from the archive"}))
	tag, err := name.NewTag("example.com/tool:1")
	if err != nil {
		t.Fatal(err)
	}
	if err := tarball.WriteToFile(path, tag, image); err != nil {
		t.Fatal(err)
	}
	reference := "docker-archive:" + path
	resolved := resolve(t, reference)
	if !slices.Equal(resolved.Platforms, []string{"linux/arm64"}) {
		t.Errorf("platforms %q", resolved.Platforms)
	}
	if named := resolve(t, reference+":tool:1"); named.Digest != resolved.Digest {
		t.Errorf("by its tag the image has digest %s, else %s", named.Digest, resolved.Digest)
	}
	c := openCache(t, nil)
	got, err := c.Get(t.Context(), reference, resolved.Digest, "arm64")
	if err != nil {
		t.Fatal(err)
	}
	defer got.Release()
	raw, err := os.ReadFile(got.ErofsPath)
	if err != nil || !bytes.Contains(raw, []byte("from the archive")) {
		t.Errorf("the file is not in the image, %v", err)
	}
	if _, err := c.Import(t.Context(), reference, "saved"); err != nil {
		t.Error(err)
	}
	_, err = imagesync.NewResolver(imagesync.ResolverConfig{Sources: local}).Resolve(t.Context(), reference+":other")
	if !errors.Is(err, imagesync.ErrNotFound) || !strings.Contains(err.Error(), "tool:1") {
		t.Errorf("unknown tag: %v", err)
	}
}

func TestNoDockerArchive(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "x.tar")
	for _, raw := range [][]byte{nil, []byte("no tar at all"), imagetest.Tar(t, entry{Name: "f"}),
		imagetest.Tar(t, entry{Name: "manifest.json", Body: `[{"Config":"../../etc/passwd","Layers":["/etc/shadow"]}]`}),
		imagetest.Tar(t, entry{Name: "manifest.json", Body: `[{"Config":"c","Layers":[]}]`}, entry{Name: "c", Type: tar.TypeSymlink, Link: "c"}),
	} {
		if err := os.WriteFile(path, raw, 0o644); err != nil {
			t.Fatal(err)
		}
		_, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: local}).Resolve(t.Context(), "docker-archive:"+path)
		if !errors.Is(err, imagesync.ErrInvalid) {
			t.Errorf("%.20q: %v", raw, err)
		}
	}
}

func TestAddRootfs(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	layer := func(name string, entries ...entry) string {
		path := filepath.Join(temp, name)
		if err := os.WriteFile(path, imagetest.Tar(t, entries...), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	base, top := layer("base.tar", entry{Name: "f", Body: "base"}), layer("top.tar", entry{Name: "g", Body: "top"})
	dir := filepath.Join(temp, "layout")
	add := func(arch, compression string, layers ...string) string {
		digest, err := imagesync.AddRootfs(t.Context(), imagesync.Rootfs{
			Layout: dir, Platform: arch, Layers: layers, Compression: compression,
			Config: imagesync.ImageConfig{Env: []string{"PATH=/bin"}, Cmd: []string{"sh"}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return digest
	}
	first := add("linux/amd64", "", base, top)
	add("riscv64", "zstd", base)
	add("arm64", "none", base)
	if again := add("amd64", "", base, top); again != first {
		t.Errorf("the same layers gave %s and %s", first, again)
	}
	c := openCache(t, nil)
	resolved := resolve(t, "oci:"+dir)
	if want := []string{"linux/amd64", "linux/arm64", "linux/riscv64"}; !slices.Equal(resolved.Platforms, want) {
		t.Fatalf("platforms %q, want %q", resolved.Platforms, want)
	}
	for _, arch := range []string{"amd64", "arm64", "riscv64"} {
		image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, arch)
		if err != nil {
			t.Fatalf("%s: %v", arch, err)
		}
		if arch == "amd64" && image.Digest != first {
			t.Errorf("the image has digest %s, not %s", image.Digest, first)
		}
		image.Release()
	}
	// A replaced platform takes its blobs along.
	before := blobCount(t, dir)
	add("amd64", "", base)
	if after := blobCount(t, dir); after >= before {
		t.Errorf("%d blobs before, %d after", before, after)
	}
	if path, err := layout.FromPath(dir); err != nil {
		t.Error(err)
	} else if index, err := path.ImageIndex(); err != nil {
		t.Error(err)
	} else if m, err := index.IndexManifest(); err != nil || len(m.Manifests) != 1 {
		t.Errorf("index.json has %+v, %v: other tools want one entry", m, err)
	}
}

func blobCount(t *testing.T, layout string) int {
	t.Helper()
	blobs, err := filepath.Glob(filepath.Join(layout, "blobs", "sha256", "*"))
	if err != nil {
		t.Fatal(err)
	}
	return len(blobs)
}

// TestBombInALayer: the caps hold all the way from the cache, by name.
func TestBombInALayer(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	path := filepath.Join(temp, "bomb.tar")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(file)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Size: 64 << 20, Mode: 0o644}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, 64<<20); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	for _, compression := range []string{"gzip", "zstd"} {
		dir := filepath.Join(temp, compression)
		if _, err := imagesync.AddRootfs(t.Context(), imagesync.Rootfs{Layout: dir, Platform: "amd64", Layers: []string{path}, Compression: compression}); err != nil {
			t.Fatal(err)
		}
		resolved := resolve(t, "oci:"+dir)
		c := openCache(t, func(config *imagesync.CacheConfig) { config.Limits.Bytes = 16 << 20 })
		_, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
		if !errors.Is(err, imagesync.ErrTooBig) || !strings.Contains(err.Error(), "uncompressed bytes") {
			t.Errorf("%s: %v", compression, err)
		}
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
