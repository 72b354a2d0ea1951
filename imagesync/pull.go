package imagesync

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/imagesync/erofsfile"
	"github.com/program-explorer/pe/imagesync/flatten"
)

const (
	// maxLayers caps the layers of an image. Docker's own cap is 127.
	maxLayers = 512
	// maxWindow caps the memory of one zstd decoder, in bytes: that of `zstd --long`.
	maxWindow = 128 << 20
)

// build pulls an image's layers from an origin and writes them into file as one
// EROFS. Layers are read in parallel, each in one pass: digest, decompression,
// digest of the result, tar, spool in dir.
func build(ctx context.Context, o origin, image *imageManifest, limits flatten.Limits, dir string, file *os.File, progress func(int64)) error {
	if err := checkManifest(image, limits); err != nil {
		return err
	}
	budget := flatten.NewBudget(limits)
	layers := make([]*flatten.Layer, len(image.manifest.Layers))
	spools := make([]*flatten.FileSpool, len(layers))
	defer func() {
		for _, s := range spools {
			if s != nil {
				s.Close()
			}
		}
	}()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(max(2, min(runtime.GOMAXPROCS(0), 8)))
	for i, d := range image.manifest.Layers {
		group.Go(func() error {
			spool, err := flatten.NewFileSpool(dir)
			if err != nil {
				return err
			}
			spools[i] = spool
			layers[i], err = pullLayer(groupCtx, o, d, image.config.RootFS.DiffIDs[i], spool, budget, progress)
			if err != nil {
				return fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	tree := flatten.NewTree(limits)
	for i, layer := range layers {
		if err := tree.Apply(layer); err != nil {
			return fmt.Errorf("layer %d of %d: %w", i+1, len(layers), err)
		}
		layers[i] = nil
	}
	if _, err := tree.Size(); err != nil {
		return err
	}
	return erofsfile.Write(ctx, tree, file)
}

// checkManifest refuses what can be refused before anything is transferred.
func checkManifest(image *imageManifest, limits flatten.Limits) error {
	layers, diffIDs := image.manifest.Layers, image.config.RootFS.DiffIDs
	if len(layers) > maxLayers {
		return tooBig("layers", maxLayers)
	}
	if len(layers) != len(diffIDs) {
		return fmt.Errorf("%w: %d layers, and %d in the configuration", ErrInvalid, len(layers), len(diffIDs))
	}
	limit := limits.WithDefaults().Bytes
	var sum int64
	for _, d := range layers {
		if d.Size < 0 {
			return fmt.Errorf("%w: layer %s has a size of %d", ErrInvalid, d.Digest, d.Size)
		}
		if d.Size > limit-sum {
			return tooBig("compressed bytes", limit)
		}
		sum += d.Size
	}
	return nil
}

func pullLayer(ctx context.Context, o origin, d v1.Descriptor, diffID v1.Hash, spool *flatten.FileSpool, budget *flatten.Budget, progress func(int64)) (*flatten.Layer, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	body, err := o.blob(ctx, d)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	verified := bufio.NewReaderSize(newVerifier(newStallReader(ctx, body, cancel), d, progress), 64<<10)
	plain, err := decompress(verified)
	if err != nil {
		return nil, err
	}
	defer plain.Close()
	sum := newSHA256()
	ahead := newReadAhead(plain)
	defer func() {
		cancel(nil) // or Close could wait for a registry that has stalled
		ahead.Close()
	}()
	layer, err := flatten.ReadLayer(ctx, io.TeeReader(ahead, sum), spool, budget)
	if err != nil {
		return nil, err
	}
	// The end of the compressed blob is where its digest is checked.
	if _, err := io.Copy(io.Discard, verified); err != nil {
		return nil, err
	}
	if got := hashOf(sum); got != diffID {
		return nil, fmt.Errorf("%w: layer has the uncompressed digest %s, want %s", ErrInvalid, got, diffID)
	}
	return layer, spool.Flush()
}

// decompress tells the compression by the first bytes: media types are often wrong.
func decompress(r *bufio.Reader) (io.ReadCloser, error) {
	head, err := r.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	switch {
	case bytes.HasPrefix(head, []byte{0x1f, 0x8b}):
		z, err := gzip.NewReader(r)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		return invalidOnError{z, z}, nil
	case bytes.Equal(head, []byte{0x28, 0xb5, 0x2f, 0xfd}):
		z, err := zstd.NewReader(r, zstd.WithDecoderMaxWindow(maxWindow), zstd.WithDecoderLowmem(true), zstd.WithDecoderConcurrency(1))
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
		}
		closer := z.IOReadCloser()
		return invalidOnError{closer, closer}, nil
	}
	return io.NopCloser(r), nil
}

// invalidOnError marks a decoder's complaints as the image's fault, and leaves
// the transfer's own errors as they are.
type invalidOnError struct {
	io.Reader
	io.Closer
}

func (r invalidOnError) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err == nil || errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) || kindOf(err) != nil || errors.Is(err, context.Canceled) {
		return n, err
	}
	return n, fmt.Errorf("%w: decompress: %w", ErrInvalid, err)
}
