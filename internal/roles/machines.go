package roles

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/executor/host"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/vm"
	"github.com/program-explorer/pe/schemas"
)

// machines are runners for every architecture whose guests and QEMU are here, one for
// each kernel: the newest before the others, since a job gets the first that fits.
func machines(ctx context.Context, c ExecutorConfig, shared *vm.Host) ([]*vm.Runner, error) {
	found := make([][]*vm.Runner, len(schemas.Archs))
	lacking := make([]error, len(schemas.Archs))
	var all errgroup.Group
	for i, arch := range schemas.Archs {
		all.Go(func() error {
			found[i], lacking[i] = machinesOf(ctx, c, arch, shared)
			return nil
		})
	}
	_ = all.Wait() // none of them fails
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	var runners []*vm.Runner
	for i, arch := range schemas.Archs {
		if lacking[i] != nil {
			c.Log.Debug("no machines of this architecture", "arch", arch, "reason", lacking[i])
		}
		runners = append(runners, found[i]...)
	}
	if len(runners) == 0 {
		return nil, fmt.Errorf("this host can run no machine: %w\nto have what is needed for one: deploy/setup.sh --for run, then --guest-dir .cache/guest", errors.Join(lacking...))
	}
	return runners, nil
}

// machinesOf are those of one architecture.
func machinesOf(ctx context.Context, c ExecutorConfig, arch string, shared *vm.Host) ([]*vm.Runner, error) {
	bundles, err := vm.ListBundles(c.GuestDir, arch)
	if len(bundles) == 0 {
		return nil, err
	}
	if err != nil {
		c.Log.Warn("a guest bundle can't be used", "arch", arch, "reason", err)
	}
	// Which accelerator works is a matter of the host, not of the kernel.
	accel, err := qemu.FindHost(ctx, qemu.ProbeConfig{
		Arch: arch, Kernel: bundles[0].Kernel(), User: qemu.SlotUser(0),
		CacheDir: filepath.Join(c.Dir, "accel"), Log: c.Log,
	})
	if err != nil {
		return nil, err
	}
	var (
		runners []*vm.Runner
		broken  []error
	)
	for _, b := range bundles {
		r, err := machineOf(c, b, accel, shared)
		if err != nil {
			c.Log.Warn("a guest bundle can't be used", "arch", arch, "kernel", b.KernelRelease, "reason", err)
			broken = append(broken, err)
			continue
		}
		runners = append(runners, r)
	}
	if len(runners) == 0 {
		return nil, errors.Join(broken...)
	}
	return runners, nil
}

func machineOf(c ExecutorConfig, b *vm.Bundle, found qemu.Host, shared *vm.Host) (*vm.Runner, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	return vm.New(vm.Config{
		Host: shared, Bundle: b, Accel: found.Verdict.Accel, AccelReason: found.Verdict.Reason, Binary: found.Binary,
		HostCPU: host.CPUModel(), TrialDir: filepath.Join(c.Dir, "trials"), RunDir: runDir(c.Dir, b.Arch, b.KernelRelease), Log: c.Log,
	})
}

// runDir is where the machines of one kernel leave files while they run.
func runDir(dataDir, arch, release string) string {
	return filepath.Join(dataDir, "run", arch, release)
}

// TryGuest boots the newest guest for arch in a folder of bundles, and keeps beside it what
// it says of itself. cacheDir keeps which accelerator works. An error wraps exec.ErrNotFound
// where there is no QEMU to boot it with.
func TryGuest(ctx context.Context, guestDir, arch, cacheDir string) (t vm.Trial, err error) {
	b, err := vm.LoadBundle(guestDir, arch)
	if err != nil {
		return t, err
	}
	found, err := qemu.FindHost(ctx, qemu.ProbeConfig{Arch: arch, Kernel: b.Kernel(), User: qemu.SlotUser(0), CacheDir: cacheDir})
	if err != nil {
		return t, err
	}
	dir, err := os.MkdirTemp("", "ped-trial-")
	if err != nil {
		return t, err
	}
	defer os.RemoveAll(dir)
	h, err := vm.NewHost(vm.HostConfig{FirstUser: firstToolUser()})
	if err != nil {
		return t, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	r, err := vm.New(vm.Config{
		Host: h, Bundle: b, Accel: found.Verdict.Accel, AccelReason: found.Verdict.Reason, Binary: found.Binary,
		HostCPU: host.CPUModel(), TrialDir: b.Dir(), RunDir: dir,
	})
	if err != nil {
		return t, err
	}
	return r.Try(ctx, false)
}

// tryAll has each runner's guest booted once that was not yet, one after the other and at
// low priority: a guest's first word costs an emulated machine seconds of a processor, and
// jobs need not wait for it. learned is called after each.
func tryAll(ctx context.Context, runners []*vm.Runner, log *slog.Logger, learned func()) {
	for _, r := range runners {
		if r.Recall() {
			continue
		}
		o := r.Offering()
		t, err := r.Try(ctx, true)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			log.Warn("a guest does not come up", "arch", o.Arch, "kernel", o.Kernel, "reason", err)
			continue
		}
		log.Info("guest tried", "arch", o.Arch, "kernel", o.Kernel, "cpu", t.Ready.CPUModel, "features", len(t.Ready.Features), "took_ms", t.TookMS)
		learned()
	}
}
