package roles

import (
	"context"
	"errors"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// ReadyConfig says what of a machine may be used to have machines ready before their jobs.
type ReadyConfig struct {
	// SnapshotBytes is how much of the disk baked machines may take. 0: none is
	// baked, and every machine boots.
	SnapshotBytes int64
	// PoolBytes is how much memory restored machines may take that wait for jobs. 0: none waits.
	PoolBytes int64
	// PoolMax is how many wait of one image, where its catalog entry does not say. Default 4.
	PoolMax int
}

// newHost is what all kinds of machines share.
func newHost(c ExecutorConfig) (*vm.Host, error) {
	// Where the host does not let us, the limits inside the guest hold alone.
	cgroups, err := qemu.FindCgroups()
	if err != nil {
		c.Log.Warn("QEMU is not bounded from outside", "reason", err)
	}
	h := vm.HostConfig{
		SnapshotBytes: c.Ready.SnapshotBytes, PoolBytes: c.share(schemas.IsolationVM), PoolMax: c.Ready.PoolMax,
		Cgroups: cgroups, Metrics: c.Metrics, Log: c.Log,
	}
	if c.Ready.SnapshotBytes > 0 {
		if h.Snapshots, err = snapshot.Open(snapshot.Config{Dir: SnapshotDir(c.Dir), Log: c.Log}); err != nil {
			return nil, err
		}
	}
	return vm.NewHost(h)
}

// keeper has machines wait for the images of which the catalog wants some always.
type keeper struct {
	images  *imagesync.Cache
	sources imagesync.Sources
	runners []*vm.Runner
	log     *slog.Logger
}

// keepAgain is when an image that could not be had is tried again, and how often it is seen
// to that one that was had is still kept.
const keepAgain = 2 * time.Minute

// run returns when ctx ends, or nothing is left that could be kept.
func (k *keeper) run(ctx context.Context) {
	var all sync.WaitGroup
	for _, entry := range k.sources.Catalog.Pooled() {
		all.Go(func() { k.insist(ctx, entry, k.native()) })
	}
	all.Wait()
}

// native runs machines of the host's own architecture, if any does: emulated ones
// of others are kept ready when somebody uses them.
func (k *keeper) native() *vm.Runner {
	for _, r := range k.runners {
		if r.Offering().Arch == runtime.GOARCH {
			return r
		}
	}
	return k.runners[0]
}

func (k *keeper) insist(ctx context.Context, entry imagesync.CatalogEntry, runner *vm.Runner) {
	for {
		err := k.keep(ctx, entry, runner)
		if err == nil || ctx.Err() != nil {
			return
		}
		k.log.Warn("no machines wait for an image that always wants some", "image", entry.Reference, "reason", err)
		var image *imagesync.Error
		if errors.As(err, &image) && !image.Retryable() {
			return
		}
		select {
		case <-time.After(keepAgain):
		case <-ctx.Done():
			return
		}
	}
}

// keep readies machines of the size that a job without any wishes has, until ctx ends.
func (k *keeper) keep(ctx context.Context, entry imagesync.CatalogEntry, runner *vm.Runner) error {
	found, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: k.sources}).Resolve(ctx, entry.Reference)
	if err != nil {
		return err
	}
	image, err := k.images.Get(ctx, found.Reference, found.Digest, runner.Offering().Arch)
	if err != nil {
		return err
	}
	defer image.Release()
	shape := executor.NewShape(image, schemas.JobSpec{}.WithDefaults().Limits)
	for {
		if err := runner.Keep(ctx, shape); err != nil {
			return err
		}
		// A snapshot that one restore found broken takes all its machines with it.
		select {
		case <-time.After(keepAgain):
		case <-ctx.Done():
			return nil
		}
	}
}
