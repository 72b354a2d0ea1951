package imagesync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// layoutOrigin reads an OCI layout folder. The folder is opened as a root, so
// that a link in it leads nowhere else.
type layoutOrigin struct {
	root *os.Root
	tag  string
}

func openLayoutOrigin(dir, tag string) (*layoutOrigin, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, notThere(err)
	}
	return &layoutOrigin{root: root, tag: tag}, nil
}

func (l *layoutOrigin) Close() error { return l.root.Close() }

func (l *layoutOrigin) resolve(ctx context.Context) ([]byte, error) {
	raw, err := l.read("index.json")
	if err != nil {
		return nil, err
	}
	index, err := v1.ParseIndexManifest(bytes.NewReader(raw))
	if err != nil {
		return nil, fmt.Errorf("%w: index.json: %w", ErrInvalid, err)
	}
	if l.tag == "" {
		if len(index.Manifests) == 1 {
			return l.manifest(ctx, index.Manifests[0].Digest)
		}
		if d, found := byRefName(index, "latest"); found {
			return l.manifest(ctx, d.Digest)
		}
		if unnamed(index) && len(index.Manifests) > 0 {
			return raw, nil // the platforms of one image
		}
		return nil, fmt.Errorf("%w: the layout holds several images (%s); name one", ErrNotFound, names(index))
	}
	d, found := byRefName(index, l.tag)
	if !found {
		return nil, fmt.Errorf("%w: no image named %q in the layout, which has %s", ErrNotFound, l.tag, names(index))
	}
	return l.manifest(ctx, d.Digest)
}

// manifest also answers for index.json itself, whose digest no blob has.
func (l *layoutOrigin) manifest(_ context.Context, digest v1.Hash) ([]byte, error) {
	raw, err := l.read("blobs/" + digest.Algorithm + "/" + digest.Hex)
	if errors.Is(err, ErrNotFound) {
		if index, err := l.read("index.json"); err == nil && digestOf(index) == digest {
			return index, nil
		}
	}
	return raw, err
}

func (l *layoutOrigin) blob(_ context.Context, d v1.Descriptor) (io.ReadCloser, error) {
	file, err := l.root.Open("blobs/" + d.Digest.Algorithm + "/" + d.Digest.Hex)
	return file, notThere(err)
}

func (l *layoutOrigin) read(path string) ([]byte, error) {
	file, err := l.root.Open(path)
	if err != nil {
		return nil, notThere(err)
	}
	defer file.Close()
	return readCapped(file, maxManifest, "manifest")
}

func unnamed(index *v1.IndexManifest) bool {
	for _, d := range index.Manifests {
		if d.Annotations[refNameAnnotation] != "" || d.Platform == nil {
			return false
		}
	}
	return true
}

func names(index *v1.IndexManifest) string {
	var list []string
	for _, d := range index.Manifests {
		if tag := d.Annotations[refNameAnnotation]; tag != "" && len(list) < 20 {
			list = append(list, tag)
		}
	}
	if len(list) == 0 {
		return "no named image"
	}
	return strings.Join(list, ", ")
}

// notThere makes a missing file a missing image.
func notThere(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return err
}
