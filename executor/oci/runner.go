//go:build linux

package oci

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/ocirun"
	"github.com/program-explorer/pe/executor/pool"
	"github.com/program-explorer/pe/schemas"
)

// Runner makes contained machines of one kind. It is an executor.Runner.
type Runner struct {
	cfg     Config
	runtime ocirun.Runtime
	cgroups *ocirun.Cgroups
	roots   *ocirun.Roots
	ranges  *ocirun.UserRanges // nil: machines have no users of their own
	layers  *layers
	pool    *pool.Pool[*waiting] // nil: no machine waits
	kernel  string
	reason  string
	cpu     string
	guest   string // path of our own copy of guestrd
	digest  string // of it
}

var _ executor.Runner = (*Runner)(nil)

// New returns a runner, after taking away what an earlier one left behind in RunDir. It does not try
// whether machines work here: Probe does.
func New(c Config) (_ *Runner, err error) {
	if err := c.complete(); err != nil {
		return nil, err
	}
	r := &Runner{cfg: c}
	if r.runtime, err = ocirun.Find(context.Background(), c.Runtime); err != nil {
		return nil, err
	}
	if isGVisor := r.runtime.Name == ocirun.Runsc; isGVisor != (c.Kind == schemas.IsolationGVisor) {
		return nil, fmt.Errorf("%s is %s: want runsc for gvisor, runc or crun for containers", r.runtime.Path, r.runtime.Name)
	}
	if os.Geteuid() != 0 {
		return nil, errors.New("only root may mount the images of contained machines: run the executor as root")
	}
	if r.cgroups, err = ocirun.FindCgroups(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(c.RunDir, 0o711); err != nil {
		return nil, fmt.Errorf("make folder of running machines: %w", err)
	}
	if _, err := ocirun.Sweep(c.RunDir); err != nil {
		return nil, fmt.Errorf("end machines of an earlier run: %w", err)
	}
	if r.layers, err = openLayers(c.LayerDir, c.LayerBytes, c.Log); err != nil {
		return nil, err
	}
	if r.roots, err = ocirun.NewRoots(c.RunDir); err != nil {
		return nil, err
	}
	return r, r.settle()
}

// settle finds out what all machines of the runner are like.
func (r *Runner) settle() (err error) {
	r.reason = fmt.Sprintf("%s %s, cgroup %s", r.runtime.Name, r.runtime.Version, r.cgroups.Version())
	if r.cfg.Kind == schemas.IsolationContainer {
		if err := passable(r.cfg.RunDir); err != nil {
			return errors.Join(err, r.roots.Close())
		}
		r.reason += ", users of their own"
	}
	r.kernel, r.cpu = kernelRelease(), cpuModel()
	if err := r.adoptGuest(); err != nil {
		return errors.Join(err, r.roots.Close())
	}
	if r.cfg.PoolBytes > 0 {
		r.pool = pool.New[*waiting](pool.Config{
			Budget: r.cfg.PoolBytes, DefaultMax: r.cfg.PoolMax, Pressure: pool.MemoryPressure(0), Metrics: r.cfg.Metrics, Log: r.cfg.Log,
		})
	}
	return nil
}

// adoptGuest copies guestrd: its bundle may be replaced or removed while the executor runs.
func (r *Runner) adoptGuest() (err error) {
	r.guest = filepath.Join(r.roots.Dir(), "guestrd")
	if err := copyFile(r.cfg.Guest, r.guest); err != nil {
		return fmt.Errorf("copy guestrd: %w", err)
	}
	if err := os.Chmod(r.guest, 0o755); err != nil {
		return fmt.Errorf("copy guestrd: %w", err)
	}
	if r.cfg.Kind == schemas.IsolationContainer {
		r.ranges = ocirun.NewUserRanges(r.guest, r.cfg.FirstUsers)
	}
	r.digest, err = fileDigest(r.guest)
	return err
}

// Close ends the machines that wait. Machines of jobs are closed by their jobs, before.
func (r *Runner) Close() error {
	var err error
	if r.pool != nil {
		err = r.pool.Close()
	}
	if r.ranges != nil {
		r.ranges.Close()
	}
	return errors.Join(err, r.roots.Close())
}

// Offering implements executor.Runner.
func (r *Runner) Offering() schemas.Offering {
	o := schemas.Offering{Arch: runtime.GOARCH, Isolation: r.cfg.Kind, AccelReason: r.reason, CPUModel: r.cpu}
	if r.cfg.Kind == schemas.IsolationContainer {
		o.Kernel = r.kernel // gVisor has one of its own
	}
	return o
}

// Start implements executor.Runner: it takes a machine that waits, or makes one.
func (r *Runner) Start(ctx context.Context, shape executor.Shape) (executor.Machine, error) {
	if err := r.cfg.allowed(shape.Image); err != nil {
		return nil, err
	}
	m := &machine{runner: r, shape: shape, ready: make(chan struct{})}
	ctx, m.cancel = context.WithCancelCause(ctx)
	if err := m.begin(ctx); err != nil {
		m.cancel(nil)
		return nil, err
	}
	return m, nil
}

// passable says which folder on the way to dir keeps users of machines out.
func passable(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("folder %s keeps the users of containers out: chmod o+x %[1]s, or choose another folder", at)
		}
		if at == "/" {
			return nil
		}
	}
}
