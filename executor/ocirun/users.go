//go:build linux

package ocirun

import (
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// jobIDs is how many users and groups a job has; the next one is process 1's.
	jobIDs = 65536
	// idRange is how many a machine has, idStride how far apart the machines' are.
	idRange  = jobIDs + 1
	idStride = 2 * jobIDs
	// firstBase is the host's id of the first machine's root: above what systems give to people and their containers.
	firstBase = 1 << 30
)

// Users is a range of the host's users and groups that one machine has for its own.
type Users struct {
	// Base is the host's id of the machine's root.
	Base int
	ns   *os.File // a user namespace with that range
	slot int
}

// UserRanges hands ranges out, so that no two machines at a time share one.
type UserRanges struct {
	program string
	first   int

	mu    sync.Mutex
	free  []*Users
	count int
}

// NewUserRanges prepares ranges from the first-th on: two processes of one host must not use the same. The
// program is any that ends by itself when it is run with --version: it is started once for each range.
func NewUserRanges(program string, first int) *UserRanges {
	return &UserRanges{program: program, first: first}
}

// Take gives a range; Give takes it back, once nothing of the machine is left.
func (r *UserRanges) Take() (*Users, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.free); n > 0 {
		u := r.free[n-1]
		r.free = r.free[:n-1]
		return u, nil
	}
	u, err := newUsers(r.program, r.first+r.count)
	if err == nil {
		r.count++
	}
	return u, err
}

// Give takes a range back.
func (r *UserRanges) Give(u *Users) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.free = append(r.free, u)
}

// Close lets go of all that were given back.
func (r *UserRanges) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, u := range r.free {
		u.ns.Close()
	}
	r.free = nil
}

// newUsers makes a user namespace. It lives as long as somebody holds it open.
func newUsers(program string, slot int) (*Users, error) {
	u := &Users{Base: firstBase + slot*idStride, slot: slot}
	ids := []syscall.SysProcIDMap{{ContainerID: 0, HostID: u.Base, Size: idRange}}
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return nil, fmt.Errorf("make user namespace: %w", err)
	}
	defer null.Close()
	pid, err := syscall.ForkExec(program, []string{program, "--version"}, &syscall.ProcAttr{
		Files: []uintptr{null.Fd(), null.Fd(), null.Fd()},
		Sys:   &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: ids, GidMappings: ids},
	})
	if err != nil {
		return nil, fmt.Errorf("make user namespace: %w", err)
	}
	// Whether it has ended already or not, its namespace can be opened until it is waited for.
	u.ns, err = os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
	for {
		if _, werr := syscall.Wait4(pid, nil, 0, nil); werr != syscall.EINTR {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("open user namespace: %w", err)
	}
	return u, nil
}

// mapped mounts the tree at from at to, with the owners of the range.
func (u *Users) mapped(from, to string) error {
	tree, err := unix.OpenTree(unix.AT_FDCWD, from, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("clone mount %s: %w", from, err)
	}
	defer unix.Close(tree)
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(u.ns.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return fmt.Errorf("map owners of %s: %w", from, err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, to, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach %s: %w", to, err)
	}
	return nil
}
