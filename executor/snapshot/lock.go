package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// lockPoll is how often a lock that another process holds is tried. It is held for a
// bake, so seconds.
const lockPoll = 20 * time.Millisecond

var errLocked = errors.New("locked")

// tryLock opens the file at path, with flag, and locks it. It is errLocked where somebody
// holds it. Locks end with their process, however that ends.
func tryLock(path string, flag, how int) (*os.File, error) {
	for {
		f, err := os.OpenFile(path, flag, 0o600)
		if err != nil {
			return nil, err
		}
		if err := flock(f, how|unix.LOCK_NB); err != nil {
			_ = f.Close()
			return nil, err
		}
		// Whoever held it before may have removed the file, or its folder.
		if sameFile(f, path) {
			return f, nil
		}
		_ = f.Close()
	}
}

// waitLock is tryLock that waits.
func waitLock(ctx context.Context, path string, flag, how int) (*os.File, error) {
	for {
		f, err := tryLock(path, flag, how)
		if !errors.Is(err, errLocked) {
			return f, err
		}
		select {
		case <-time.After(lockPoll):
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for %s: %w", path, context.Cause(ctx))
		}
	}
}

func flock(f *os.File, how int) error {
	for {
		err := unix.Flock(int(f.Fd()), how)
		switch {
		case err == nil:
			return nil
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.EWOULDBLOCK):
			return errLocked
		default:
			return &fs.PathError{Op: "lock", Path: f.Name(), Err: err}
		}
	}
}

func sameFile(f *os.File, path string) bool {
	a, err := f.Stat()
	if err != nil {
		return false
	}
	b, err := os.Stat(path)
	return err == nil && os.SameFile(a, b)
}
