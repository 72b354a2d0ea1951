package flatten

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
)

// budgetReader charges a layer's uncompressed bytes as they are read.
type budgetReader struct {
	ctx    context.Context
	r      io.Reader
	budget *Budget
	err    error
}

func (b *budgetReader) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	if b.err = b.ctx.Err(); b.err != nil {
		return 0, b.err
	}
	n, err := b.r.Read(p)
	if over := b.budget.addBytes(int64(n), ""); over != nil {
		err = over
	}
	if err != nil {
		b.err = err
	}
	return n, err
}

// explain returns the reader's own error when that is why an archive seems
// broken, and else marks the archive as invalid.
func (b *budgetReader) explain(err error) error {
	if b.err != nil && !errors.Is(b.err, io.EOF) {
		return b.err
	}
	var limit *LimitError
	if errors.Is(err, ErrInvalid) || errors.As(err, &limit) {
		return err
	}
	if errors.Is(err, tar.ErrHeader) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, tar.ErrWriteTooLong) || errors.Is(err, tar.ErrFieldTooLong) {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return err
}

// addSparse refuses a file whose size alone is over what is left, before it is
// read, and charges the holes of a sparse one.
func (b *Budget) addSparse(h *tar.Header, name string) error {
	if h.Size > b.limits.Bytes-b.bytes.Load() {
		return &LimitError{Cap: "uncompressed bytes", Limit: b.limits.Bytes, Path: name}
	}
	if h.Typeflag != tar.TypeGNUSparse && h.PAXRecords["GNU.sparse.major"] == "" && h.PAXRecords["GNU.sparse.size"] == "" && h.PAXRecords["GNU.sparse.realsize"] == "" {
		return nil
	}
	// Its data is charged again while it is read: holes are what matters here.
	return b.addBytes(h.Size, name)
}
