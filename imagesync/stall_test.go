package imagesync

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// bodyUntil blocks, as a registry that has stalled, until its request ends.
type bodyUntil struct{ ctx context.Context }

func (b bodyUntil) Read([]byte) (int, error) {
	<-b.ctx.Done()
	return 0, b.ctx.Err()
}

func TestStalledTransfer(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancelCause(t.Context())
		defer stop(nil)
		started := time.Now()
		_, err := io.ReadAll(newStallReader(ctx, bodyUntil{ctx}, stop))
		if !errors.Is(err, errInterrupted) || kindOf(err) != ErrUnreachable {
			t.Errorf("got %v, want it interrupted, worth a retry", err)
		}
		if took := time.Since(started); took != stallAfter {
			t.Errorf("gave up after %s", took)
		}
	})
}
