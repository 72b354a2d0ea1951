package job

import (
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// PIDsGroup is a cgroup of a sandbox's own kernel (gVisor's), which counts the job's processes
// exactly; the host's cgroups would count that kernel's threads. Nobody but this process can reach it.
type PIDsGroup struct {
	root, job int // descriptors of folders that no path leads to any more
	limit     int64
}

// NewPIDsGroup makes it, by way of a mount at the empty folder at, which is gone afterwards.
func NewPIDsGroup(at string) (*PIDsGroup, error) {
	if err := unix.Mount("none", at, "cgroup", 0, "pids"); err != nil {
		return nil, fmt.Errorf("mount pids cgroup: %w", err)
	}
	defer unix.Unmount(at, unix.MNT_DETACH)
	if err := os.Mkdir(at+"/job", 0o700); err != nil {
		return nil, fmt.Errorf("make pids cgroup: %w", err)
	}
	root, err := unix.Open(at, unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open pids cgroup: %w", err)
	}
	job, err := unix.Open(at+"/job", unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("open pids cgroup: %w", err)
	}
	return &PIDsGroup{root: root, job: job}, nil
}

// enter moves this thread into the group, so that its next child is born there.
func (g *PIDsGroup) enter(limit int64) error {
	if g.limit = limit; limit > 0 {
		// The thread itself is in it until it leaves.
		if err := writeAt(g.job, "pids.max", limit+1); err != nil {
			return err
		}
	}
	return writeAt(g.job, "tasks", int64(unix.Gettid()))
}

// leave moves it back, and the limit to where it belongs.
func (g *PIDsGroup) leave() {
	_ = writeAt(g.root, "tasks", int64(unix.Gettid()))
	if g.limit > 0 {
		_ = writeAt(g.job, "pids.max", g.limit)
	}
}

// manyPIDs is from which limit on one process less counts as having hit it.
const manyPIDs = 8

// full says whether the job has all the processes that it may have. The one whose fork failed may be gone
// by now, as a shell's is, and that is no large part of many. Those that have only just ended are given.
func (g *PIDsGroup) full(ended int64) bool {
	if g.limit <= 0 {
		return false
	}
	enough := g.limit
	if enough >= manyPIDs {
		enough--
	}
	fd, err := unix.Openat(g.job, "pids.current", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return false
	}
	defer unix.Close(fd)
	var b [32]byte
	n, err := unix.Read(fd, b[:])
	return err == nil && valueOf(string(b[:n]), "")+ended >= enough
}

func writeAt(dir int, file string, value int64) error {
	fd, err := unix.Openat(dir, file, unix.O_WRONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open %s: %w", file, err)
	}
	defer unix.Close(fd)
	if _, err := unix.Write(fd, strconv.AppendInt(nil, value, 10)); err != nil {
		return fmt.Errorf("write %s: %w", file, err)
	}
	return nil
}
