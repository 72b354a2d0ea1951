// Package vminit is process 1 of a virtual machine: it sets the machine up, finds the
// host's channel and the disks, and serves the host until it is told to power off.
//
// Its place in a job's life: from the kernel's start to the machine's end. It must not
// know what a job is, beyond handing it to package job.
package vminit

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"
)

// node is one thing that the machine has after its start.
type node struct {
	kind   nodeKind
	path   string
	source string // of a link; the type of a mount
	flags  uintptr
	data   string
}

type nodeKind int

const (
	folder nodeKind = iota
	mount
	link
	file // data is its content; the file exists
)

// machineNodes is what a machine looks like, in order.
func machineNodes() []node {
	const noExec = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	return []node{
		{kind: folder, path: "/dev"},
		{kind: mount, path: "/dev", source: "devtmpfs", flags: unix.MS_NOSUID | unix.MS_NOEXEC},
		{kind: folder, path: "/proc"},
		{kind: mount, path: "/proc", source: "proc", flags: noExec},
		{kind: folder, path: "/sys"},
		{kind: mount, path: "/sys", source: "sysfs", flags: noExec},
		{kind: folder, path: "/sys/fs/cgroup"},
		{kind: mount, path: "/sys/fs/cgroup", source: "cgroup2", flags: noExec},
		{kind: file, path: "/sys/fs/cgroup/cgroup.subtree_control", data: "+cpu +memory +pids"},
		{kind: folder, path: "/run"},
		{kind: mount, path: "/run", source: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NODEV, data: "mode=755"},
		{kind: folder, path: "/run/job"},
		{kind: folder, path: "/run/r"},
		{kind: folder, path: "/run/image"},
		{kind: link, path: "/dev/fd", source: "/proc/self/fd"},
		// A crash of the kernel must end the machine, so that the host sees it at once.
		{kind: file, path: "/proc/sys/kernel/panic", data: "-1"},
		{kind: file, path: "/proc/sys/kernel/panic_on_oops", data: "1"},
		// What a job prints about itself must not become the console's flood.
		{kind: file, path: "/proc/sys/kernel/print-fatal-signals", data: "0"},
	}
}

func (n node) apply() error {
	switch n.kind {
	case folder:
		err := os.Mkdir(n.path, 0o755)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	case mount:
		err := unix.Mount(n.source, n.path, n.source, n.flags, n.data)
		if err == unix.EBUSY { // the kernel mounted devtmpfs by itself
			return nil
		}
		return err
	case link:
		err := os.Symlink(n.source, n.path)
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return err
	case file:
		return os.WriteFile(n.path, []byte(n.data), 0o644)
	}
	return errors.New("unknown kind of node")
}

// setUp makes all nodes.
func setUp() error {
	for _, n := range machineNodes() {
		if err := n.apply(); err != nil {
			return fmt.Errorf("make %s: %w", n.path, err)
		}
	}
	return nil
}
