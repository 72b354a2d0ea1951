package imagesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

// stallAfter is how long a registry may send nothing in the middle of a blob.
const stallAfter = time.Minute

var errStalled = errors.New("no bytes for " + stallAfter.String())

// stallReader gives up on a transfer that has stopped without being closed. Only
// the time spent waiting for bytes counts, not that of a slow disk behind it.
type stallReader struct {
	ctx   context.Context
	r     io.Reader
	timer *time.Timer
}

// newStallReader reads a body whose request ends with ctx; stop is what cancels it.
func newStallReader(ctx context.Context, r io.Reader, stop context.CancelCauseFunc) *stallReader {
	timer := time.AfterFunc(stallAfter, func() { stop(errStalled) })
	timer.Stop()
	return &stallReader{ctx: ctx, r: r, timer: timer}
}

func (s *stallReader) Read(p []byte) (int, error) {
	s.timer.Reset(stallAfter)
	n, err := s.r.Read(p)
	s.timer.Stop()
	if err != nil && errors.Is(context.Cause(s.ctx), errStalled) {
		return n, fmt.Errorf("%w: %w", errInterrupted, errStalled)
	}
	return n, err
}
