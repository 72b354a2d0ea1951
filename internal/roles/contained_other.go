//go:build !linux

package roles

import "context"

// contained machines are Linux's.
func contained(_ context.Context, c ExecutorConfig) ([]containedRunner, error) {
	if c.Ways.has("gvisor") || c.Ways.has("container") {
		c.Log.Warn("gVisor and containers are offered on Linux only")
	}
	return nil, nil
}
