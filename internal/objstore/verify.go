package objstore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
)

// VerifyReader reads content that is held to PutOptions. It fails with ErrSize
// or ErrDigest instead of the io.EOF of a content that breaks them, so whoever
// reads to the end cannot forget the check. It never gives more bytes than allowed.
type VerifyReader struct {
	ctx    func() error // the Put's context, asked between reads
	r      io.Reader
	size   int64 // exact, or -1
	max    int64
	want   string
	hash   hash.Hash
	n      int64
	sum    string
	result error
}

// NewVerifyReader checks the options and wraps r. Cancelling ctx ends the
// reading at the next read.
func NewVerifyReader(ctx context.Context, r io.Reader, o PutOptions) (*VerifyReader, error) {
	limit, err := o.Check()
	if err != nil {
		return nil, err
	}
	if o.Size >= 0 {
		limit = o.Size
	}
	return &VerifyReader{ctx: ctx.Err, r: r, size: o.Size, max: limit, want: o.SHA256, hash: sha256.New()}, nil
}

// Read gives verified progress; its final error is io.EOF only when all checks passed.
func (v *VerifyReader) Read(p []byte) (int, error) {
	if v.result != nil {
		return 0, v.result
	}
	if err := v.ctx(); err != nil {
		v.result = err
		return 0, err
	}
	if v.n == v.max {
		v.result = v.atLimit()
		return 0, v.result
	}
	if rest := v.max - v.n; int64(len(p)) > rest {
		p = p[:rest]
	}
	n, err := v.r.Read(p)
	v.hash.Write(p[:n])
	v.n += int64(n)
	if err == nil {
		return n, nil
	}
	v.result = err
	if errors.Is(err, io.EOF) {
		v.result = v.finish()
	}
	return n, v.result
}

// atLimit looks for one byte more than is allowed.
func (v *VerifyReader) atLimit() error {
	var one [1]byte
	for range 100 {
		n, err := v.r.Read(one[:])
		if n > 0 {
			return fmt.Errorf("%w: more than %d bytes", ErrSize, v.max)
		}
		if errors.Is(err, io.EOF) {
			return v.finish()
		}
		if err != nil {
			return err
		}
	}
	return io.ErrNoProgress
}

func (v *VerifyReader) finish() error {
	if v.size >= 0 && v.n != v.size {
		return fmt.Errorf("%w: got %d bytes, want %d", ErrSize, v.n, v.size)
	}
	v.sum = hex.EncodeToString(v.hash.Sum(nil))
	if v.want != "" && v.sum != v.want {
		return fmt.Errorf("%w: got %s, want %s", ErrDigest, v.sum, v.want)
	}
	return io.EOF
}

// Size is the number of bytes read so far.
func (v *VerifyReader) Size() int64 { return v.n }

// SHA256 is the digest in hex of a content that was read to its verified end, else empty.
func (v *VerifyReader) SHA256() string { return v.sum }
