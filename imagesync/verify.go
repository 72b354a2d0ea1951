package imagesync

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/program-explorer/pe/imagesync/flatten"
)

// errInterrupted marks a blob whose transfer broke: worth a retry, unlike a
// blob that arrived and is wrong.
var errInterrupted = errors.New("transfer interrupted")

func newSHA256() hash.Hash { return sha256.New() }

func tooBig(what string, limit int64) error {
	return &flatten.LimitError{Cap: what, Limit: limit}
}

// verifier passes on a blob and fails at its end, not with io.EOF, unless size
// and digest are as the descriptor says. It reads no byte past the size.
type verifier struct {
	r    io.Reader
	want v1.Descriptor
	sum  hash.Hash
	read int64
	// progress is told of bytes as they pass.
	progress func(n int64)
}

func newVerifier(r io.Reader, want v1.Descriptor, progress func(int64)) *verifier {
	return &verifier{r: r, want: want, sum: newSHA256(), progress: progress}
}

func (v *verifier) Read(p []byte) (int, error) {
	// One byte more than is left tells a longer blob from one that ends.
	if left := v.want.Size - v.read + 1; int64(len(p)) > left {
		p = p[:left]
	}
	n, err := v.r.Read(p)
	v.read += int64(n)
	v.sum.Write(p[:n])
	if v.progress != nil {
		v.progress(int64(n))
	}
	switch {
	case v.read > v.want.Size:
		return 0, fmt.Errorf("%w: blob %s is longer than %d bytes", ErrInvalid, v.want.Digest, v.want.Size)
	case errors.Is(err, io.EOF):
		return n, v.end()
	case err != nil:
		return n, fmt.Errorf("%w: blob %s: %w", errInterrupted, v.want.Digest, err)
	}
	return n, nil
}

func (v *verifier) end() error {
	if v.read < v.want.Size {
		return fmt.Errorf("%w: blob %s ended after %d of %d bytes", errInterrupted, v.want.Digest, v.read, v.want.Size)
	}
	if got := hashOf(v.sum); got != v.want.Digest {
		return fmt.Errorf("%w: blob has digest %s, want %s", ErrInvalid, got, v.want.Digest)
	}
	return io.EOF
}
