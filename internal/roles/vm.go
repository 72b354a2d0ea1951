package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// SnapshotDir is the store of baked machines within a data directory. Several
// processes may use it.
func SnapshotDir(dataDir string) string { return filepath.Join(dataDir, "snapshots") }

// ToolsConfig is what an operator's tools for machines are put together from.
type ToolsConfig struct {
	// Dir and GuestDir are an executor's, which may run meanwhile. Required.
	Dir, GuestDir string
	// Arch of the machines. Required.
	Arch string
	// Images says where images come from, ImageBytes bounds their cache (default 20 GiB).
	Images     imagesync.Sources
	ImageBytes int64
	// Log default: discard.
	Log *slog.Logger
}

// Tools make machines as the executor of a data directory would, and start none for jobs.
type Tools struct {
	// Runner bakes into the snapshots of the data directory.
	Runner *vm.Runner

	dir, arch string
	host      *vm.Host
	images    *imagesync.Cache
	sources   imagesync.Sources
}

// NewTools finds what machines of an architecture this host can run.
func NewTools(ctx context.Context, c ToolsConfig) (_ *Tools, err error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	t := &Tools{dir: c.Dir, arch: c.Arch, sources: c.Images}
	// An operator may name all that there is.
	t.sources.AllowPaths, t.sources.AllowLoopback, t.sources.ImportsDir = true, true, ImageDir(c.Dir)
	t.images, err = imagesync.Open(imagesync.CacheConfig{Sources: t.sources, Dir: ImageDir(c.Dir), MaxBytes: c.ImageBytes, Log: c.Log})
	if err != nil {
		return nil, err
	}
	if t.host, err = toolsHost(c); err != nil {
		return nil, err
	}
	runners, err := machinesOf(ctx, ExecutorConfig{Dir: c.Dir, GuestDir: c.GuestDir, Log: c.Log}, c.Arch, t.host)
	if err != nil {
		return nil, errors.Join(err, t.host.Close())
	}
	t.Runner = runners[0]
	return t, nil
}

const (
	// toolUsers is beyond the users of an executor's machines, and toolUsersEach
	// how many one process of tools has for itself, as far as that can be.
	toolUsers     = 1000
	toolUsersEach = 64
	// noBudget leaves it to the executor, and to the operator, to remove snapshots.
	noBudget = 1 << 62
)

func toolsHost(c ToolsConfig) (*vm.Host, error) {
	store, err := snapshot.Open(snapshot.Config{Dir: SnapshotDir(c.Dir), Log: c.Log})
	if err != nil {
		return nil, err
	}
	// Where the host does not let us, the limits inside the guest hold alone.
	cgroups, err := qemu.FindCgroups()
	if err != nil {
		c.Log.Info("QEMU is not bounded from outside", "reason", err)
	}
	return vm.NewHost(vm.HostConfig{
		Snapshots: store, SnapshotBytes: noBudget, Cgroups: cgroups, Log: c.Log,
		FirstUser: firstToolUser(),
	})
}

func firstToolUser() int { return toolUsers + os.Getpid()%1000*toolUsersEach }

// Close ends what the tools still do.
func (t *Tools) Close() error { return t.host.Close() }

// Pull has the image of a reference ready. The caller releases it.
func (t *Tools) Pull(ctx context.Context, reference string) (*imagesync.Image, error) {
	resolved, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: t.sources}).Resolve(ctx, reference)
	if err != nil {
		return nil, err
	}
	return t.images.Get(ctx, reference, resolved.Digest, t.arch)
}

// Shape is that of machines for an image's jobs: of jobs without limits of their own,
// or of machines with so many bytes of memory, or processors, where these are not 0.
func (t *Tools) Shape(image *imagesync.Image, memory int64, cpus int) (executor.Shape, error) {
	limits := schemas.JobSpec{}.WithDefaults().Limits
	if cpus > 0 {
		limits.CPUs = float64(cpus)
	}
	shape := executor.NewShape(image, limits)
	if memory == 0 {
		return shape, nil
	}
	// A job may use less than its machine has, by what only the runner knows.
	for shape.MemoryBytes = memory; shape.MemoryBytes > 0 && t.Runner.MachineBytes(shape) > memory; {
		shape.MemoryBytes = max(0, shape.MemoryBytes-step)
	}
	if t.Runner.MachineBytes(shape) == memory {
		return shape, nil
	}
	shape.MemoryBytes = 0
	return shape, fmt.Errorf("machines of %s have %d MiB of memory, or 2, 4, 8, … times as much: not %d MiB",
		image.Reference, t.Runner.MachineBytes(shape)>>20, memory>>20)
}

// step is how closely Shape looks for a size, in bytes.
const step = 16 << 20
