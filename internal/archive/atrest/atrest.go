// Package atrest is the form in which a job's outputs lie in the object store:
// a tar in which every entry is a zstd frame of its own, and an index of it.
//
// The frames together decompress to one valid tar, so any tool can read the
// whole (zstd -d | tar x), while one file of a large archive is a ranged read
// of its frame. The executor makes it from the tar that a guest wrote; the
// gateway and clients read it. It must not know the object store.
package atrest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

const (
	// smallEntry is the content size up to which an entry is compressed in one call from memory.
	smallEntry = 128 << 10
	// maxWindow is the most memory that reading a frame may ask for: that of
	// the fastest level's window, which is what Repack writes.
	maxWindow = 8 << 20
	copySize  = 256 << 10
)

// measured counts and hashes what passes to the archive.
type measured struct {
	w    io.Writer
	n    int64
	hash hash.Hash
}

func newMeasured(w io.Writer) *measured { return &measured{w: w, hash: sha256.New()} }

func (m *measured) Write(p []byte) (int, error) {
	n, err := m.w.Write(p)
	m.n += int64(n)
	m.hash.Write(p[:n])
	return n, err
}

func digest(h hash.Hash) string { return "sha256:" + hex.EncodeToString(h.Sum(nil)) }

func digestOf(b []byte) string {
	s := sha256.Sum256(b)
	return "sha256:" + hex.EncodeToString(s[:])
}

// frames writes zstd frames to the archive: from memory in one call, or as a
// stream. One encoder serves all of them.
type frames struct {
	out     *measured
	encoder *zstd.Encoder
	memory  bytes.Buffer // what the next frame of a small entry holds
	packed  []byte
	sink    io.Writer // where tar bytes go: memory, or the stream that is open
}

func newFrames(out *measured) (*frames, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderConcurrency(1),
		zstd.WithWindowSize(1<<20), zstd.WithZeroFrames(true))
	if err != nil {
		return nil, err
	}
	f := &frames{out: out, encoder: encoder}
	f.sink = &f.memory
	return f, nil
}

func (f *frames) Write(p []byte) (int, error) { return f.sink.Write(p) }

// flush writes the bytes in memory as one frame.
func (f *frames) flush() error {
	f.packed = f.encoder.EncodeAll(f.memory.Bytes(), f.packed[:0])
	f.memory.Reset()
	_, err := f.out.Write(f.packed)
	return err
}

// stream sends the following bytes to a frame of unknown length until it is closed.
func (f *frames) stream(compressible bool) io.Closer {
	if !compressible {
		s := newStored(f.out)
		f.sink = s
		return f.closing(s)
	}
	f.encoder.Reset(f.out)
	f.sink = f.encoder
	return f.closing(f.encoder)
}

type closerFunc func() error

func (c closerFunc) Close() error { return c() }

func (f *frames) closing(c io.Closer) io.Closer {
	return closerFunc(func() error {
		f.sink = &f.memory
		return c.Close()
	})
}

// compressible tries the beginning of a large file. Most large files that do
// not shrink (media, archives, random bytes) do not shrink from the start, and
// storing them is several times faster than finding out block by block.
func (f *frames) compressible(sample []byte) bool {
	f.packed = f.encoder.EncodeAll(sample, f.packed[:0])
	return len(f.packed) < len(sample)-len(sample)/32
}

// TarReader gives the plain tar of a whole archive. It must be closed. The
// archive is hostile as ever: read the tar through archive.Unpack or under limits.
func TarReader(r io.Reader) (io.ReadCloser, error) {
	d, err := newDecoder(r)
	if err != nil {
		return nil, err
	}
	return d.IOReadCloser(), nil
}

func newDecoder(r io.Reader) (*zstd.Decoder, error) {
	return zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
}
