package chaos

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// disk is a filesystem of a process's own, that can be filled.
type disk struct{ path string }

// diskSource is what the kernel lists as a disk's source: whose mount it is shows by it.
const diskSource = "pe-chaos"

// filler is the file that takes all the room.
const filler = "chaos-filler"

// newDisk mounts one of so many bytes; without root it is a plain folder, which can't be filled.
func newDisk(path string, bytes int64) (*disk, error) {
	if err := os.Mkdir(path, 0o755); err != nil {
		return nil, err
	}
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if err := unix.Mount(diskSource, path, "tmpfs", 0, fmt.Sprintf("size=%d,mode=755", bytes)); err != nil {
		return nil, fmt.Errorf("mount a disk to fill: %w", err)
	}
	return &disk{path}, nil
}

// fill leaves no room.
func (d *disk) fill() error {
	f, err := os.Create(filepath.Join(d.path, filler))
	if err != nil {
		return err
	}
	defer f.Close()
	for size, step := int64(0), int64(1<<20); step >= 4096; {
		if err := unix.Fallocate(int(f.Fd()), 0, size, step); err == nil {
			size += step
		} else if errors.Is(err, unix.ENOSPC) {
			step /= 2
		} else {
			return fmt.Errorf("fill disk: %w", err)
		}
	}
	return nil
}

// free gives the room back.
func (d *disk) free() error { return os.Remove(filepath.Join(d.path, filler)) }

func (d *disk) close() error {
	if d == nil {
		return nil
	}
	return unix.Unmount(d.path, unix.MNT_DETACH)
}
