package vm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
)

// Config of a runner of virtual machines.
type Config struct {
	// Host is shared by all runners of this process. Default: a new one without snapshots.
	Host *Host
	// Bundle is the guest. Required.
	Bundle *Bundle
	// Accel is qemu.KVM, qemu.HVF or qemu.TCG, as a probe found; AccelReason says why, in one line. Required.
	Accel, AccelReason string
	// CPUModel is QEMU's -cpu. Default: the architecture's cheapest.
	CPUModel string
	// HostCPU is the host's processor, which accelerated guests see: part of what a
	// snapshot is good for.
	HostCPU string
	// Binary is QEMU's path. Default: the one in PATH.
	Binary string
	// TrialDir keeps what trials of the guest found. Default "": nothing is kept.
	TrialDir string
	// RunDir holds a file for each running machine, so that what a killed executor left can be
	// swept. It is this runner's alone. Required.
	RunDir string
	// BootTimeout bounds the time from QEMU's start to the guest's first word. Default 60 s.
	BootTimeout time.Duration
	// Log default: discard.
	Log *slog.Logger
}

// Runner makes machines. It is an executor.Runner.
type Runner struct {
	cfg        Config
	host       *Host
	qemuFile   snapshot.File
	counterKHz int64 // 0: measured at each boot
	tried      atomic.Pointer[Trial]
}

var _ executor.Runner = (*Runner)(nil)

// New returns a runner, after ending what an earlier one left behind in RunDir.
func New(c Config) (_ *Runner, err error) {
	if c.Bundle == nil || c.Accel == "" || c.RunDir == "" {
		return nil, errors.New("virtual machines need a guest bundle, an accelerator and a folder")
	}
	if c.BootTimeout <= 0 {
		c.BootTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Host == nil {
		if c.Host, err = NewHost(HostConfig{Log: c.Log}); err != nil {
			return nil, err
		}
	}
	if err := os.MkdirAll(c.RunDir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of running machines: %w", err)
	}
	if _, err := qemu.Sweep(c.RunDir); err != nil {
		return nil, fmt.Errorf("end machines of an earlier run: %w", err)
	}
	if err := sweepDisks(c.RunDir); err != nil {
		return nil, fmt.Errorf("remove disks of an earlier run: %w", err)
	}
	r := &Runner{cfg: c, host: c.Host}
	if r.host.store == nil {
		return r, nil
	}
	return r, r.identifyHost()
}

// identifyHost settles what of this host is part of its snapshots' keys.
func (r *Runner) identifyHost() (err error) {
	if r.cfg.Binary == "" {
		if r.cfg.Binary, err = qemu.FindBinary(r.cfg.Bundle.Arch); err != nil {
			return err
		}
	}
	if r.qemuFile, err = digestOf(r.cfg.Binary); err != nil {
		return fmt.Errorf("read QEMU: %w", err)
	}
	r.counterKHz, err = r.host.store.ClockRate(qemu.CounterKHz())
	return err
}

// Start implements executor.Runner: it takes a machine that waits, or makes one.
func (r *Runner) Start(ctx context.Context, shape executor.Shape) (executor.Machine, error) {
	m := &machine{runner: r, shape: shape, ready: make(chan struct{})}
	ctx, m.cancel = context.WithCancelCause(ctx)
	if err := m.begin(ctx); err != nil {
		m.cancel(nil)
		return nil, err
	}
	return m, nil
}

// make makes a machine from nothing but what is on disk.
func (r *Runner) make(ctx context.Context, o order) (*guest, error) {
	if r.host.store != nil {
		g, err := r.fromSnapshot(ctx, o)
		if err == nil || ctx.Err() != nil || hopeless(err) {
			return g, err
		}
		r.tellFallback(o, err)
	}
	return r.boot(ctx, o, o.shape.Image.ErofsPath, nil)
}

// hopeless errors are those that a boot would meet again.
func hopeless(err error) bool {
	var warmup *executor.WarmupError
	return errors.As(err, &warmup)
}

func (r *Runner) tellFallback(o order, err error) {
	var f *fallback
	if errors.As(err, &f) {
		r.host.metrics.fallbacks.WithLabelValues(r.cfg.Bundle.Arch, f.reason).Inc()
	}
	r.cfg.Log.Warn("machine boots instead", "vm", o.name, "image", o.shape.Image.Reference, "reason", err)
}
