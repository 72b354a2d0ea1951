package imagesync

import (
	"context"
	"fmt"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	// maxManifest caps a manifest or an index, and maxConfig an image's
	// configuration, in bytes. Real ones have some KiB.
	maxManifest = 4 << 20
	maxConfig   = 4 << 20
)

// origin is where an image's bytes come from. Nothing it returns is verified:
// the callers check every digest.
type origin interface {
	// resolve returns the bytes of the manifest or index that the reference leads to now.
	resolve(ctx context.Context) ([]byte, error)
	// manifest returns the bytes of a manifest or index, at most maxManifest.
	manifest(ctx context.Context, digest v1.Hash) ([]byte, error)
	// blob opens a configuration or layer.
	blob(ctx context.Context, d v1.Descriptor) (io.ReadCloser, error)
}

// readCapped reads a small document.
func readCapped(r io.Reader, limit int64, what string) ([]byte, error) {
	raw, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(raw)) > limit {
		return nil, tooBig("bytes in the "+what, limit)
	}
	return raw, nil
}

// digestOf returns the sha256 of a document.
func digestOf(raw []byte) v1.Hash {
	sum := newSHA256()
	sum.Write(raw)
	return hashOf(sum)
}

// fetchManifest returns the verified bytes of a manifest or index.
func fetchManifest(ctx context.Context, o origin, digest v1.Hash) ([]byte, error) {
	raw, err := o.manifest(ctx, digest)
	if err != nil {
		return nil, err
	}
	if len(raw) > maxManifest {
		return nil, tooBig("bytes in the manifest", maxManifest)
	}
	if got := digestOf(raw); got != digest {
		return nil, fmt.Errorf("%w: manifest has digest %s, want %s", ErrInvalid, got, digest)
	}
	return raw, nil
}

// fetchConfig returns an image's verified configuration.
func fetchConfig(ctx context.Context, o origin, d v1.Descriptor) ([]byte, error) {
	if d.Size > maxConfig {
		return nil, tooBig("bytes in the configuration", maxConfig)
	}
	body, err := o.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	raw, err := readCapped(body, maxConfig, "configuration")
	if err != nil {
		return nil, err
	}
	if got := digestOf(raw); got != d.Digest {
		return nil, fmt.Errorf("%w: configuration has digest %s, want %s", ErrInvalid, got, d.Digest)
	}
	return raw, nil
}
