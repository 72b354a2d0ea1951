package vmbench

import (
	"context"
	"errors"
	"os"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/executor/snapshot"
)

// live is a machine that has said its first word.
type live struct {
	machine        *qemu.Machine
	session        *session.Session
	began, replied time.Time
	arch, accel    string
	cpu            time.Duration // of its QEMU, once it is closed
	done           func()
}

// restore starts a machine of the snapshot, with a file for its memory or without, and waits for its first reply.
func (b *bench) restore(ctx context.Context, from *snapshot.Snapshot, ram *os.File) (*live, error) {
	return b.start(ctx, qemu.Disk{File: from.Rootfs()}, ram, from.Restore, func(ctx context.Context, l *live) error {
		l.session = session.Resume(l.machine.Channel(), session.Options{Runs: b.Runs})
		return l.session.Ping(ctx, 1)
	})
}

// boot starts the same machine from its kernel.
func (b *bench) boot(ctx context.Context) (*live, error) {
	return b.start(ctx, qemu.Disk{Path: b.Rootfs}, nil, qemu.Boot, func(ctx context.Context, l *live) (err error) {
		l.session, _, err = session.Open(ctx, l.machine.Channel(), session.Options{})
		return err
	})
}

func (b *bench) start(ctx context.Context, root qemu.Disk, ram *os.File,
	power func(context.Context, qemu.Config) (*qemu.Machine, error), greet func(context.Context, *live) error,
) (*live, error) {
	c, done, err := b.Describe()
	if err != nil {
		return nil, err
	}
	root.Name, root.ReadOnly = b.RootDisk, true
	c.Disks = append([]qemu.Disk{root}, c.Disks...)
	c.RAM = ram
	l := &live{arch: c.Arch, accel: c.Accel, done: done, began: time.Now()}
	if l.machine, err = power(ctx, c); err != nil {
		done()
		return nil, err
	}
	if err := greet(ctx, l); err != nil {
		return nil, errors.Join(err, l.close())
	}
	l.replied = time.Now()
	return l, nil
}

// close ends the machine. It is called once.
func (l *live) close() error {
	if l.session != nil {
		_ = l.session.Close()
	}
	err := l.machine.Close()
	if usage, reading := l.machine.Usage(); reading == nil {
		l.cpu = usage.CPU
	}
	l.done()
	return err
}
