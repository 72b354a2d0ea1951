package atrest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	"github.com/klauspost/compress/zstd"
)

// ErrDigest: the content is not what the index says.
var ErrDigest = errors.New("content does not match its index entry")

// OpenEntry gives the content of one file from its frame: the bytes of the
// archive at e.Offset, e.Length long. More bytes than that are not read. The
// last Read fails with ErrDigest instead of io.EOF unless size and digest are
// those of the entry; no more than e.Size bytes ever come out. It must be closed.
func OpenEntry(frame io.Reader, e Entry) (io.ReadCloser, error) {
	if e.Type != TypeFile {
		return nil, fmt.Errorf("open archive entry %q: a %s has no content", e.Path, e.Type)
	}
	if e.Header < 0 || e.Header > maxHeader || e.Size < 0 || e.Length < 0 {
		return nil, fmt.Errorf("open archive entry %q: a number is out of range", e.Path)
	}
	d, err := newDecoder(io.LimitReader(frame, e.Length))
	if err != nil {
		return nil, fmt.Errorf("open archive entry %q: %w", e.Path, err)
	}
	if _, err := io.CopyN(io.Discard, d, e.Header); err != nil {
		d.Close()
		return nil, fmt.Errorf("open archive entry %q: read header: %w", e.Path, unexpected(err))
	}
	return &content{decoder: d, entry: e, left: e.Size, hash: sha256.New()}, nil
}

type content struct {
	decoder *zstd.Decoder
	entry   Entry
	left    int64
	hash    hash.Hash
	result  error
}

func (c *content) Read(p []byte) (int, error) {
	if c.result != nil {
		return 0, c.result
	}
	if c.left == 0 {
		c.result = c.verify()
		return 0, c.result
	}
	if int64(len(p)) > c.left {
		p = p[:c.left]
	}
	n, err := c.decoder.Read(p)
	c.hash.Write(p[:n])
	c.left -= int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
		if c.left > 0 {
			err = fmt.Errorf("read archive entry %q: %w: %d bytes are missing", c.entry.Path, ErrDigest, c.left)
		}
	} else if err != nil {
		err = fmt.Errorf("read archive entry %q: %w", c.entry.Path, err)
	}
	c.result = err
	return n, err
}

// verify checks the digest, and that only the tar's padding follows.
func (c *content) verify() error {
	if got := digest(c.hash); got != c.entry.SHA256 {
		return fmt.Errorf("read archive entry %q: %w: got %s, want %s", c.entry.Path, ErrDigest, got, c.entry.SHA256)
	}
	padding := (512 - c.entry.Size%512) % 512
	n, err := io.Copy(io.Discard, io.LimitReader(c.decoder, padding+1))
	if err != nil {
		return fmt.Errorf("read archive entry %q: %w", c.entry.Path, err)
	}
	if n != padding {
		return fmt.Errorf("read archive entry %q: %w: padding of %d bytes, want %d", c.entry.Path, ErrDigest, n, padding)
	}
	return io.EOF
}

func (c *content) Close() error {
	c.decoder.Close()
	return nil
}
