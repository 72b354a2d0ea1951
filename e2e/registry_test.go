package e2e

import (
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// images are what every system under test has in its registry and catalog.
var images = []string{"busybox", "gcc", "python"}

// sharedRegistry is one registry for all scenarios: pushing an image takes seconds.
var sharedRegistry = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(bin, "registry")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	handler := registry.New(registry.Logger(log.New(io.Discard, "", 0)), registry.WithBlobHandler(registry.NewDiskBlobHandler(dir)))
	server := httptest.NewServer(handler) // ends with the test process
	return strings.TrimPrefix(server.URL, "http://"), nil
})

func registryHost(t *testing.T) string {
	t.Helper()
	host, err := sharedRegistry()
	if err != nil {
		t.Fatal(err)
	}
	return host
}

var pushed sync.Map

// registryHas pushes an image of the cache once, and returns its reference.
func registryHas(t *testing.T, image string) string {
	t.Helper()
	reference := registryHost(t) + "/" + image + ":latest"
	path := cache(t, "images", image)
	push, _ := pushed.LoadOrStore(image, sync.OnceValue(func() error {
		index, err := imageOf(path)
		if err != nil {
			return err
		}
		return pushIndex(index, reference)
	}))
	if err := push.(func() error)(); err != nil {
		t.Fatalf("push %s: %v", image, err)
	}
	return reference
}

func pushIndex(index v1.ImageIndex, reference string) error {
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, index)
}

func pushImage(t *testing.T, image v1.Image, reference string) {
	t.Helper()
	ref, err := name.ParseReference(reference, name.Insecure)
	if err != nil {
		t.Fatal(err)
	}
	if err := remote.Write(ref, image); err != nil {
		t.Fatal(err)
	}
}

// imageOf is the index of all platforms, which a layout's index.json holds alone.
func imageOf(path string) (v1.ImageIndex, error) {
	outer, err := layout.ImageIndexFromPath(path)
	if err != nil {
		return nil, err
	}
	manifest, err := outer.IndexManifest()
	if err != nil {
		return nil, err
	}
	if n := len(manifest.Manifests); n != 1 {
		return nil, fmt.Errorf("%s holds %d images, want one", path, n)
	}
	return outer.ImageIndex(manifest.Manifests[0].Digest)
}

// without is an image of the cache for all its architectures but one.
func without(t *testing.T, image, arch string) v1.ImageIndex {
	t.Helper()
	index, err := imageOf(cache(t, "images", image))
	if err != nil {
		t.Fatal(err)
	}
	return mutate.RemoveManifests(index, func(d v1.Descriptor) bool { return d.Platform != nil && d.Platform.Architecture == arch })
}
