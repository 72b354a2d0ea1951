package vm

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/schemas"
)

// Config of a runner of virtual machines.
type Config struct {
	// Bundle is the guest. Required.
	Bundle *Bundle
	// Accel is qemu.KVM, qemu.HVF or qemu.TCG, as a probe found; AccelReason says why, in one line. Required.
	Accel, AccelReason string
	// CPUModel is QEMU's -cpu. Default: the architecture's cheapest.
	CPUModel string
	// Binary is QEMU's path. Default: the one in PATH.
	Binary string
	// RunDir holds a file for each running machine, so that what a killed executor left can be swept. Required.
	RunDir string
	// Cgroups bounds each QEMU from outside. Default: not bounded.
	Cgroups *qemu.Cgroups
	// Users are shared by all runners of this process: machines of two runners
	// must not run as one user. Default: the runner's own.
	Users *Users
	// BootTimeout bounds the time from QEMU's start to the guest's first word. Default 60 s.
	BootTimeout time.Duration
	// Log default: discard.
	Log *slog.Logger
}

// Runner makes machines. It is an executor.Runner.
type Runner struct {
	cfg Config
}

var _ executor.Runner = (*Runner)(nil)

// New returns a runner, after ending what an earlier one left behind in RunDir.
func New(c Config) (*Runner, error) {
	if c.Bundle == nil || c.Accel == "" || c.RunDir == "" {
		return nil, errors.New("virtual machines need a guest bundle, an accelerator and a folder")
	}
	if c.Users == nil {
		c.Users = &Users{}
	}
	if c.BootTimeout <= 0 {
		c.BootTimeout = time.Minute
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(c.RunDir, 0o700); err != nil {
		return nil, fmt.Errorf("make folder of running machines: %w", err)
	}
	if _, err := qemu.Sweep(c.RunDir); err != nil {
		return nil, fmt.Errorf("end machines of an earlier run: %w", err)
	}
	return &Runner{cfg: c}, nil
}

// Offering implements executor.Runner.
func (r *Runner) Offering() schemas.Offering {
	return schemas.Offering{
		Arch:        r.cfg.Bundle.Arch,
		Isolation:   schemas.IsolationVM,
		Accel:       r.cfg.Accel,
		AccelReason: r.cfg.AccelReason,
		Kernel:      r.cfg.Bundle.KernelRelease,
		CPUModel:    r.cfg.CPUModel,
	}
}

// Start boots a machine and returns when its guest has its own identity and the image's root filesystem.
func (r *Runner) Start(ctx context.Context, shape executor.Shape) (executor.Machine, error) {
	m, err := r.boot(ctx, shape)
	if err != nil {
		return nil, err // not m: a nil *machine is no nil Machine
	}
	return m, nil
}

func (r *Runner) describe(shape executor.Shape, user int) qemu.Config {
	return qemu.Config{
		Instance:  shape.Name,
		Arch:      r.cfg.Bundle.Arch,
		Binary:    r.cfg.Binary,
		Accel:     r.cfg.Accel,
		CPUModel:  r.cfg.CPUModel,
		CPUs:      max(1, min(shape.CPUs, runtime.NumCPU())),
		Memory:    machineBytes(shape.MemoryBytes),
		Kernel:    r.cfg.Bundle.kernel(),
		Initramfs: r.cfg.Bundle.initramfs(),
		Disks: []qemu.Disk{
			{Name: diskRoot, Path: shape.Rootfs, ReadOnly: true},
			{Name: diskInput, File: shape.Input},
			{Name: diskOutput, File: shape.Output},
		},
		User:    qemu.SlotUser(user),
		Cgroups: r.cfg.Cgroups,
		RunDir:  r.cfg.RunDir,
		Log:     r.cfg.Log,
	}
}

// Serials of a machine's disks.
const (
	diskRoot   = "root"
	diskInput  = "input"
	diskOutput = "output"
)
