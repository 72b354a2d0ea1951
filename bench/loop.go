package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"
)

// loopBytes is the size of a filesystem in a file. The file is sparse.
const loopBytes = 8 << 30

// loop is a filesystem in a file, mounted through a loop device.
type loop struct {
	kind, image, dir string
	mounted          bool
	failed           error
}

// mount makes and mounts it, for whoever asks first; that one also gets what undoes it.
// The kernel gives the loop device back at the unmount.
func (l *loop) mount(ctx context.Context) (func() error, error) {
	if l.mounted || l.failed != nil {
		return nil, l.failed
	}
	if l.failed = l.make(ctx); l.failed != nil {
		return l.remove, l.failed
	}
	if err := execute(ctx, "mount", "-o", "loop", "-t", l.kind, l.image, l.dir); err != nil {
		l.failed = errCannot{err}
		// Interrupted, it may be mounted all the same.
		return l.undo, l.failed
	}
	l.mounted = true
	return l.undo, nil
}

// make formats the file. That this machine has no such program, or that this
// user may not mount, is no fault of ours.
func (l *loop) make(ctx context.Context) error {
	mkfs := "mkfs." + l.kind
	switch _, err := exec.LookPath(mkfs); {
	case err != nil:
		return errCannot{fmt.Errorf("%w (make setup LEVEL=bench)", err)}
	case os.Geteuid() != 0:
		return errCannot{fmt.Errorf("mounting %s in a loop device wants root", l.kind)}
	}
	if err := os.MkdirAll(l.dir, 0o755); err != nil {
		return err
	}
	file, err := os.OpenFile(l.image, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(file.Truncate(loopBytes), file.Close()); err != nil {
		return err
	}
	return execute(ctx, mkfs, "-q", l.image)
}

// undo unmounts, also after an interrupt, and waits for the last user if it must.
func (l *loop) undo() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
	defer cancel()
	err := execute(ctx, "umount", l.dir)
	for err != nil && l.mounted && ctx.Err() == nil {
		time.Sleep(pollEvery)
		err = execute(ctx, "umount", l.dir)
	}
	if !l.mounted {
		err = nil
	}
	return errors.Join(err, l.remove())
}

func (l *loop) remove() error {
	if err := os.Remove(l.image); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// filesystemOf names the filesystem that a folder is on.
func filesystemOf(ctx context.Context, dir string) string {
	out, err := program(ctx, "df", "--output=fstype", dir).Output()
	fields := strings.Fields(string(out))
	if err != nil || len(fields) == 0 {
		return "unknown"
	}
	return fields[len(fields)-1]
}
