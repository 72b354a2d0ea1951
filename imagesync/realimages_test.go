package imagesync_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

// TestRecipeImages compares what the kernel shows of the images of deploy/images
// with what GNU tar extracts of their layers, one over the other.
func TestRecipeImages(t *testing.T) {
	for _, name := range []string{"busybox", "python", "gcc"} {
		t.Run(name, func(t *testing.T) {
			dir := recipeImage(t, name)
			resolved := resolve(t, "oci:"+dir)
			image, err := openCache(t, nil).Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
			if err != nil {
				t.Fatal(err)
			}
			defer image.Release()
			imagetest.Fsck(t, image.ErofsPath)
			mounted := imagetest.MountErofs(t, image.ErofsPath)
			for path, what := range map[string]os.FileMode{"bin/sh": 0, "tmp": os.ModeDir | os.ModeSticky | 0o777, "etc/passwd": 0o644} {
				info, err := os.Stat(filepath.Join(mounted, path))
				if path == "bin/sh" { // a link that may be absolute
					info, err = os.Lstat(filepath.Join(mounted, "usr", path))
					what = os.ModeSymlink | 0o777
				}
				if err != nil || info.Mode() != what {
					t.Errorf("%s: %v, %v", path, info, err)
				}
			}
			extracted := t.TempDir()
			for _, layer := range layersOf(t, dir, image.Digest) {
				out, err := exec.Command(imagetest.Tool(t, "tar", "install GNU tar"), "--same-owner", "-xzpf", layer, "-C", extracted).CombinedOutput()
				if err != nil {
					t.Fatalf("tar: %v\n%s", err, out)
				}
			}
			imagetest.CompareListings(t, below(imagetest.Listing(t, mounted)), below(imagetest.Listing(t, extracted)))
		})
	}
}

// TestRecipeCatalog: the images of deploy/images are warmed as their .catalog
// files say, and busybox is the one that is not.
func TestRecipeCatalog(t *testing.T) {
	t.Parallel()
	c, err := imagesync.LoadCatalog(filepath.Join(recipeImage(t, "gcc"), "..", "..", "catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"busybox", "python", "gcc"} {
		said, err := os.ReadFile(filepath.Join("..", "deploy", "images", name+".catalog"))
		if err != nil && name != "busybox" {
			t.Error(err)
		}
		indented := strings.ReplaceAll("\n"+string(said), "\n", "\n    ")
		want, _ := parseCatalog(t, "images:\n  a:\n    reference: a"+indented, "/").Lookup("a")
		have, _ := c.Lookup(name)
		if !reflect.DeepEqual(have.Warmup, want.Warmup) || !reflect.DeepEqual(have.Pool, want.Pool) {
			t.Errorf("%s has %+v, %+v, want %+v, %+v: run deploy/setup.sh", name, have.Warmup, have.Pool, want.Warmup, want.Pool)
		}
		if (len(have.Warmup) == 0) != (name == "busybox") || have.Description == "" {
			t.Errorf("%s is %+v", name, have)
		}
	}
}

// below leaves out the folders that no layer has an entry for: the root, in some
// layers, and those of the licences. tar gives them the time of the extraction.
func below(listing []string) []string {
	return slices.DeleteFunc(listing, func(line string) bool {
		return strings.HasPrefix(line, `"." `) || strings.HasPrefix(line, `"usr/share/doc/`) && strings.Contains(line, " mode 40755 ")
	})
}

// recipeImage returns the layout of an image that deploy/images/build.sh has built.
func recipeImage(t testing.TB, name string) string {
	t.Helper()
	cache := os.Getenv("PE_CACHE")
	if cache == "" {
		cache = filepath.Join("..", ".cache")
	}
	dir, err := filepath.Abs(filepath.Join(cache, "images", name))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Join(dir, "index.json")); err != nil {
		imagetest.Need(t, "the image "+name, "run deploy/images/build.sh "+name)
	}
	return dir
}

func layersOf(t *testing.T, dir, digest string) []string {
	t.Helper()
	blob := func(digest string) string {
		return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
	}
	raw, err := os.ReadFile(blob(digest))
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := v1.ParseManifest(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, layer := range manifest.Layers {
		paths = append(paths, blob(layer.Digest.String()))
	}
	return paths
}

// BenchmarkBuild builds a real image from its layout.
func BenchmarkBuild(b *testing.B) {
	dir := recipeImage(b, "gcc")
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: local}).Resolve(b.Context(), "oci:"+dir)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		temp := b.TempDir()
		c, err := imagesync.Open(imagesync.CacheConfig{Sources: local, Dir: temp})
		if err != nil {
			b.Fatal(err)
		}
		image, err := c.Get(b.Context(), resolved.Reference, resolved.Digest, "amd64")
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(image.ErofsSize)
		image.Release()
		if err := os.RemoveAll(temp); err != nil {
			b.Fatal(err)
		}
	}
}
