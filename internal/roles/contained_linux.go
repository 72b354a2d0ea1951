package roles

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/program-explorer/pe/executor/oci"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// containedDir is where contained machines have their files while they run. Users
// of containers must be able to pass through it, which a data directory rarely lets them.
const containedDir = "/run/program-explorer"

// contained are the runners of gVisor and of containers that are wanted and that
// keep all limits on this host, as a trial shows.
func contained(ctx context.Context, c ExecutorConfig) ([]containedRunner, error) {
	var runners []containedRunner
	for _, kind := range []string{schemas.IsolationGVisor, schemas.IsolationContainer} {
		if !c.Ways.has(kind) {
			continue
		}
		r, err := containedOf(ctx, c, kind)
		if ctx.Err() != nil {
			return runners, context.Cause(ctx)
		}
		if err != nil {
			c.Log.Warn("a way to run jobs is not offered", "isolation", kind, "reason", err)
			continue
		}
		runners = append(runners, r)
	}
	return runners, nil
}

func containedOf(ctx context.Context, c ExecutorConfig, kind string) (*oci.Runner, error) {
	config, err := c.contained(kind)
	if err != nil {
		return nil, err
	}
	verdict, err := oci.Probe(ctx, oci.ProbeConfig{Runner: config, CacheDir: filepath.Join(c.Dir, "accel")})
	if err != nil {
		return nil, err
	}
	if !verdict.Works {
		return nil, errors.New(verdict.Reason)
	}
	c.Log.Info("a way to run jobs works", "isolation", kind, "reason", verdict.Reason)
	return oci.New(config)
}

// Trial tries, each time anew, whether contained machines of a kind keep all limits here.
func Trial(c ExecutorConfig) func(ctx context.Context, isolation string) (works bool, reason string, err error) {
	return func(ctx context.Context, isolation string) (bool, string, error) {
		config, err := c.contained(isolation)
		if err != nil {
			return false, "", err
		}
		v, err := oci.Probe(ctx, oci.ProbeConfig{Runner: config})
		return v.Works, v.Reason, err
	}
}

func (c ExecutorConfig) contained(kind string) (oci.Config, error) {
	bundle, err := vm.LoadBundle(c.GuestDir, runtime.GOARCH)
	if err != nil {
		return oci.Config{}, err
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return oci.Config{}, err
	}
	// One for each data directory, and no longer than a socket's path may be.
	sum := sha256.Sum256([]byte(dir))
	run := filepath.Join(containedDir, hex.EncodeToString(sum[:6]), kind)
	if err := os.MkdirAll(filepath.Dir(run), 0o711); err != nil {
		return oci.Config{}, fmt.Errorf("make folder of running machines: %w (gVisor and containers need root)", err)
	}
	config := oci.Config{
		Kind: kind, Runtime: c.Ways.runtime(kind), Guest: bundle.Guestrd(), RunDir: run,
		LayerDir: filepath.Join(dir, "layers", kind), PoolBytes: c.share(kind), PoolMax: c.Ready.PoolMax,
		Metrics: labelled(c.Metrics, kind), Log: c.Log,
	}
	if kind == schemas.IsolationContainer {
		config.Allow = c.Ways.allowed(c.Images.Catalog)
	}
	return config, nil
}
