package vmlinux

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"
)

const (
	gzipMagic = "\x1f\x8b\x08"
	zstdMagic = "\x28\xb5\x2f\xfd"
	lz4Magic  = "\x02\x21\x4c\x18" // the legacy frame, which the kernel's build uses
	xzMagic   = "\xfd7zXZ\x00"
	elfMagic  = "\x7fELF"
)

// lz4BlockMax is the legacy format's fixed block size.
const lz4BlockMax = 8 << 20

// unpack decompresses a payload by its magic number. Debian's amd64 kernels use
// lz4 (bookworm) and zstd (later); Ubuntu's zstd; older ones and Images gzip.
// xz is refused: the kernel's build filters it for x86, which no kept Go
// library undoes, and no kernel that we boot uses it.
func unpack(payload []byte) ([]byte, error) {
	switch {
	case bytes.HasPrefix(payload, []byte(lz4Magic)):
		return unpackLZ4(payload[len(lz4Magic):])
	case bytes.HasPrefix(payload, []byte(zstdMagic)):
		return unpackZstd(payload)
	case bytes.HasPrefix(payload, []byte(gzipMagic)):
		return unpackGzip(payload)
	case bytes.HasPrefix(payload, []byte(elfMagic)):
		return payload, nil
	case bytes.HasPrefix(payload, []byte(xzMagic)):
		return nil, errors.New("xz payload is not supported: use a kernel compressed with lz4, zstd or gzip")
	}
	return nil, fmt.Errorf("unknown compression %x", payload[:min(6, len(payload))])
}

// unpackLZ4 reads legacy blocks, each with its packed size before it, up to the
// trailer of 4 bytes (the unpacked size) that the kernel's build appends.
func unpackLZ4(b []byte) ([]byte, error) {
	if len(b) < 4 {
		return nil, io.ErrUnexpectedEOF
	}
	size := int64(binary.LittleEndian.Uint32(b[len(b)-4:]))
	if size > MaxSize {
		return nil, fmt.Errorf("unpacks to %d bytes, more than %d", size, MaxSize)
	}
	// Blocks say nothing of their unpacked size, so room grows with what was
	// really unpacked: a small file that claims to be large gets no memory for it.
	var out []byte
	block := make([]byte, min(lz4BlockMax, size))
	for b = b[:len(b)-4]; len(b) > 0; {
		if len(b) < 4 {
			return nil, io.ErrUnexpectedEOF
		}
		n := int64(binary.LittleEndian.Uint32(b))
		if n > int64(len(b)-4) {
			return nil, fmt.Errorf("lz4 block of %d bytes in the last %d", n, len(b)-4)
		}
		m, err := lz4.UncompressBlock(b[4:4+n], block)
		if err != nil {
			return nil, fmt.Errorf("lz4 block: %w", err)
		}
		if int64(len(out)+m) > size {
			return nil, fmt.Errorf("lz4 payload is larger than the %d bytes it claims", size)
		}
		out = append(out, block[:m]...)
		b = b[4+n:]
	}
	if int64(len(out)) != size {
		return nil, fmt.Errorf("lz4 payload has %d bytes, claims %d", len(out), size)
	}
	return out, nil
}

func unpackZstd(b []byte) ([]byte, error) {
	r, err := zstd.NewReader(bytes.NewReader(b), zstd.WithDecoderConcurrency(1), zstd.WithDecoderMaxMemory(MaxSize))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return readPadded(r)
}

func unpackGzip(b []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	r.Multistream(false) // padding after the stream is not another one
	return readPadded(r)
}

// readPadded reads a decompressor's output up to MaxSize. The kernel's build
// appends 4 bytes of size to a zstd stream, which is no valid frame: what was
// unpacked before that error is whole, and checkPVH reads all of it anyway.
func readPadded(r io.Reader) ([]byte, error) {
	out, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if len(out) > MaxSize {
		return nil, fmt.Errorf("unpacks to more than %d bytes", MaxSize)
	}
	if err != nil && !errors.Is(err, zstd.ErrMagicMismatch) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil, err
	}
	return out, nil
}
