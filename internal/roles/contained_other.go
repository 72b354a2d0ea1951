//go:build !linux

package roles

import (
	"context"
	"errors"
)

// contained machines are Linux's.
func contained(_ context.Context, c ExecutorConfig) ([]containedRunner, error) {
	if c.Ways.has("gvisor") || c.Ways.has("container") {
		c.Log.Warn("gVisor and containers are offered on Linux only")
	}
	return nil, nil
}

// Trial says that there are none.
func Trial(ExecutorConfig) func(ctx context.Context, isolation string) (works bool, reason string, err error) {
	return func(context.Context, string) (bool, string, error) {
		return false, "", errors.New("on Linux only")
	}
}
