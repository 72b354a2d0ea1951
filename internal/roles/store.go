package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/s3"
)

// How a store that is not there is tried again, and how often that is said.
const (
	firstPause  = 100 * time.Millisecond
	longPause   = 5 * time.Second
	remindEvery = time.Minute
)

// OpenS3 opens an S3 store. One that is not there, or refuses us, may come or
// be put right, so it is tried again until ctx ends; a mistake in the
// configuration is an error at once. Log nil: discard.
func OpenS3(ctx context.Context, c s3.Config, log *slog.Logger) (objstore.Store, error) {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return untilThere(ctx, c.Endpoint, log, func(ctx context.Context) (objstore.Store, error) {
		store, err := s3.Open(ctx, c)
		if err != nil {
			return nil, err // not store: a nil *s3.Store is no nil Store
		}
		return store, nil
	})
}

func untilThere(ctx context.Context, endpoint string, log *slog.Logger, open func(context.Context) (objstore.Store, error)) (objstore.Store, error) {
	var told time.Time
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		store, err := open(ctx)
		if err == nil && !told.IsZero() {
			log.Info("object store reached", "endpoint", endpoint)
		}
		if err == nil || !errors.Is(err, objstore.ErrUnavailable) {
			return store, err
		}
		if time.Since(told) >= remindEvery {
			log.Warn("the object store cannot be reached; trying again until it can", "endpoint", endpoint, "err", err)
			told = time.Now()
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for the object store: %w", errors.Join(context.Cause(ctx), err))
		case <-time.After(pause):
		}
	}
}
