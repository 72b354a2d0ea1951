package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/internal/hosttest"
)

// runLog is in every run's folder, and nowhere else; whoever runs there holds its lock.
const runLog = "chaos.log"

// createLog makes a run's log, and holds its lock for as long as it is open.
func createLog(dir string) (*os.File, error) {
	log, err := os.Create(filepath.Join(dir, runLog))
	if err != nil {
		return nil, err
	}
	if err := lock(log); err != nil {
		return nil, errors.Join(err, log.Close())
	}
	return log, nil
}

func lock(f *os.File) error {
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return fmt.Errorf("%s is of a run that is under way: %w", filepath.Dir(f.Name()), err)
	}
	return nil
}

// reclaim removes the folder of an earlier run, and first the disks and commands that
// it left if it was cut off. What is not recognisably a run's is an error, and stays.
func reclaim(dir string) error {
	log, err := os.OpenFile(filepath.Join(dir, runLog), os.O_RDWR|unix.O_NOFOLLOW, 0)
	switch {
	case errors.Is(err, os.ErrNotExist):
		if _, err := os.Lstat(dir); errors.Is(err, os.ErrNotExist) {
			return nil
		}
		return fmt.Errorf("%s has no %s: it is no run's, and stays", dir, runLog)
	case err != nil:
		return err
	}
	defer log.Close()
	if err := lock(log); err != nil {
		return err
	}
	if err := unmountDisks(dir); err != nil {
		return err
	}
	if err := reclaimCommands(dir); err != nil {
		return err
	}
	return os.RemoveAll(dir)
}

// unmountDisks takes a run's disks away, with what its processes had mounted on them.
func unmountDisks(dir string) error {
	for {
		left, err := hosttest.MountsBelow(dir)
		if err != nil || len(left) == 0 {
			return err
		}
		own := left[len(left)-1]
		for _, m := range left {
			if isDisk(m, dir) {
				own = m
			}
		}
		if !isDisk(own, dir) {
			return fmt.Errorf("%s has a mount that is none of a run's, and stays: %s (%s)", dir, own.At, own.Kind)
		}
		if err := (&disk{own.At}).close(); err != nil {
			return fmt.Errorf("unmount %s: %w", own.At, err)
		}
	}
}

// isDisk says whether a mount is what newDisk makes in a run's folder.
func isDisk(m hosttest.Mount, dir string) bool {
	return m.Source == diskSource && m.Kind == "tmpfs" && filepath.Dir(m.At) == dir
}
