package e2e

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"io"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// TestNoSuchImage: the error names what was asked for, and what the registry said.
func TestNoSuchImage(t *testing.T) {
	t.Parallel()
	s := shared(t)
	registryHas(t, "busybox")
	for _, c := range []struct{ name, reference, says string }{
		{"no such repository", registryHost(t) + "/absent:latest", "NAME_UNKNOWN"},
		{"no such tag", registryHost(t) + "/busybox:absent", "MANIFEST_UNKNOWN"},
		{"no registry", "127.0.0.1:1/nothing:here", "connection refused"},
		{"no name of the catalog", "gc", "gc"},
		{"no reference at all", "UPPER/Case::", "UPPER/Case::"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s.pe(t, "run", "--image", c.reference, "--", "true").want(t, 125).says(t, c.reference, c.says)
		})
	}
}

func TestImageWithoutTheArchitecture(t *testing.T) {
	t.Parallel()
	s := shared(t)
	reference := registryHost(t) + "/foreign:latest"
	if err := pushIndex(without(t, "busybox", "amd64"), reference); err != nil {
		t.Fatal(err)
	}
	s.pe(t, "run", "--image", reference, "--arch", "amd64", "--", "true").want(t, 125).says(t, reference, "arm64", "riscv64", "amd64")
	s.pe(t, "run", "--image", reference, "--", "true").want(t, 125)
}

// TestArchitectureThatNobodyServes says what is on offer.
func TestArchitectureThatNobodyServes(t *testing.T) {
	t.Parallel()
	s := shared(t)
	s.pe(t, "run", "--image", "busybox", "--arch", "arm64", "--", "true").want(t, 125).says(t, "arm64", "on offer", "amd64")
}

// TestImageBomb: a small layer that unpacks to more than an image may have.
func TestImageBomb(t *testing.T) {
	t.Parallel()
	s := shared(t)
	reference := registryHost(t) + "/bomb:latest"
	pushImage(t, bomb(t), reference)
	s.pe(t, "run", "--image", reference, "--", "true").want(t, 125).says(t, reference, "uncompressed bytes")
}

// bomb is an image whose one layer, of a megabyte, begins a file of 100 GB of zeros.
func bomb(t *testing.T) v1.Image {
	t.Helper()
	var layer bytes.Buffer
	packed := gzip.NewWriter(&layer)
	w := tar.NewWriter(packed)
	if err := w.WriteHeader(&tar.Header{Name: "zeros", Mode: 0o644, Size: 100 << 30, Typeflag: tar.TypeReg}); err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeros{}, 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := packed.Close(); err != nil {
		t.Fatal(err)
	}
	image, err := mutate.AppendLayers(empty.Image, static.NewLayer(layer.Bytes(), types.DockerLayer))
	if err != nil {
		t.Fatal(err)
	}
	config, err := image.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	config.OS, config.Architecture = "linux", "amd64"
	if image, err = mutate.ConfigFile(image, config); err != nil {
		t.Fatal(err)
	}
	return image
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }
