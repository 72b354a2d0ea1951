package vm

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// order is a machine that is to be made.
type order struct {
	name  string
	shape executor.Shape
	disks *disks
	// background machines are made when nothing else is to be done.
	background bool
}

// boot starts a machine from its kernel, mounts the image, and runs its warm-up.
// With a file for its memory it can be baked afterwards.
func (r *Runner) boot(ctx context.Context, o order, rootfs string, ram *os.File) (*guest, error) {
	c := r.describe(o)
	c.Disks = append([]qemu.Disk{{Name: diskRoot, Path: rootfs, ReadOnly: true}}, c.Disks...)
	c.RAM = ram
	started := time.Now()
	g, err := r.host.power(ctx, c, qemu.Boot)
	if err != nil {
		return nil, err
	}
	g.start = schemas.StartBooted
	if err := r.raise(ctx, g, o.shape); err != nil {
		return nil, g.fail(err)
	}
	g.spans = append(g.spans, span(schemas.SpanBooted, started, time.Now()))
	return g, nil
}

// raise leads a guest from its first word to where it can take a job.
func (r *Runner) raise(ctx context.Context, g *guest, shape executor.Shape) error {
	var err error
	if g.session, g.ready, err = session.Open(ctx, g.qemu.Channel(), session.Options{Ready: r.cfg.BootTimeout}); err != nil {
		return fmt.Errorf("wait for the guest: %w", err)
	}
	if err := g.identify(ctx); err != nil {
		return err
	}
	root := guestproto.Rootfs{FS: guestproto.FSErofs, Serial: diskRoot}
	if err := g.session.Mount(ctx, root); err != nil {
		return fmt.Errorf("mount the image: %w", err)
	}
	return g.prepare(ctx, shape)
}

// describe is the machine without its image's disk, its user and its memory's file.
func (r *Runner) describe(o order) qemu.Config {
	return qemu.Config{
		Instance:   o.name,
		Arch:       r.cfg.Bundle.Arch,
		Binary:     r.cfg.Binary,
		Accel:      r.cfg.Accel,
		CPUModel:   r.cfg.CPUModel,
		CPUs:       processors(o.shape),
		Memory:     machineBytes(o.shape),
		Kernel:     r.cfg.Bundle.Kernel(),
		Initramfs:  r.cfg.Bundle.Initramfs(),
		CounterKHz: r.counterKHz,
		Disks:      o.disks.devices(),
		Cgroups:    r.host.cfg.Cgroups,
		Background: o.background,
		RunDir:     r.cfg.RunDir,
		Log:        r.cfg.Log,
	}
}
