package roles

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
)

// attempts opens nothing: it returns these errors, one after the other.
func attempts(errs ...error) func(context.Context) (objstore.Store, error) {
	return func(context.Context) (objstore.Store, error) {
		err := errs[0]
		if len(errs) > 1 {
			errs = errs[1:]
		}
		return nil, err
	}
}

func TestAStoreIsWaitedFor(t *testing.T) {
	gone := fmt.Errorf("dial: %w", objstore.ErrUnavailable)
	mistake := errors.New("no such endpoint")
	t.Run("it comes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			var said bytes.Buffer
			log := slog.New(slog.NewTextHandler(&said, nil))
			if _, err := untilThere(t.Context(), "http://store", log, attempts(gone, gone, gone, nil)); err != nil {
				t.Error(err)
			}
			for text, times := range map[string]int{"cannot be reached": 1, "object store reached": 1, "http://store": 2} {
				if n := strings.Count(said.String(), text); n != times {
					t.Errorf("%q is said %d times, want %d: %s", text, n, times, said.String())
				}
			}
		})
	})
	t.Run("it stays away", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			defer cancel()
			_, err := untilThere(ctx, "http://store", slog.New(slog.DiscardHandler), attempts(gone))
			if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, objstore.ErrUnavailable) {
				t.Errorf("got %v", err)
			}
		})
	})
	t.Run("it can't be", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			began := time.Now()
			if _, err := untilThere(t.Context(), "store", slog.New(slog.DiscardHandler), attempts(mistake)); !errors.Is(err, mistake) || time.Since(began) > 0 {
				t.Errorf("got %v after %s", err, time.Since(began))
			}
		})
	})
}
