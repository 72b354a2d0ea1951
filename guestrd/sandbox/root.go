package sandbox

import (
	"errors"
	"fmt"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// staging is a folder of guestrd's own root on which the job's root is assembled.
const staging = "/run/job"

// node is one thing that the job's root gets on top of the image.
type node struct {
	kind   nodeKind
	path   string // relative to the job's root
	source string // of a bind or link; the filesystem type of a mount
	flags  uintptr
	data   string
	// optional things may fail: they don't exist in every kernel.
	optional bool
}

type nodeKind int

const (
	folder nodeKind = iota
	mount
	device   // bind of the machine's own device node: user namespaces can't make them
	link     // symlink
	readOnly // bind of the path on itself, read-only
	masked   // bind of /dev/null
)

// rootNodes is all that a job sees besides its image, in order.
func rootNodes() []node {
	const noExec = unix.MS_NOSUID | unix.MS_NODEV | unix.MS_NOEXEC
	nodes := []node{
		{kind: folder, path: "proc"},
		{kind: mount, path: "proc", source: "proc", flags: noExec},
		{kind: readOnly, path: "proc/sys"},
		{kind: readOnly, path: "proc/irq", optional: true},
		{kind: readOnly, path: "proc/bus", optional: true},
		{kind: readOnly, path: "proc/fs", optional: true},
		{kind: folder, path: "sys"},
		{kind: mount, path: "sys", source: "sysfs", flags: noExec | unix.MS_RDONLY, optional: true},
		{kind: folder, path: "dev"},
		{kind: mount, path: "dev", source: "tmpfs", flags: unix.MS_NOSUID | unix.MS_NOEXEC, data: "mode=755,size=64k"},
		{kind: folder, path: "dev/pts"},
		{kind: mount, path: "dev/pts", source: "devpts", flags: unix.MS_NOSUID | unix.MS_NOEXEC, data: "newinstance,ptmxmode=0666,mode=0620"},
		{kind: folder, path: "dev/shm"},
		{kind: mount, path: "dev/shm", source: "tmpfs", flags: noExec, data: "mode=1777,size=64k"}, // until resizeShm,
		{kind: link, path: "dev/ptmx", source: "pts/ptmx"},
		{kind: link, path: "dev/fd", source: "/proc/self/fd"},
		{kind: link, path: "dev/stdin", source: "/proc/self/fd/0"},
		{kind: link, path: "dev/stdout", source: "/proc/self/fd/1"},
		{kind: link, path: "dev/stderr", source: "/proc/self/fd/2"},
	}
	for _, name := range []string{"null", "zero", "full", "random", "urandom", "tty"} {
		nodes = append(nodes, node{kind: device, path: "dev/" + name, source: "/dev/" + name})
	}
	for _, name := range []string{"sysrq-trigger", "kcore", "keys", "timer_list"} {
		nodes = append(nodes, node{kind: masked, path: "proc/" + name, optional: true})
	}
	return nodes
}

// enter does what needs no order yet.
func enter() error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("make mounts private: %w", err)
	}
	return forbidNamespaces()
}

// makeRoot puts the image, and the nodes on it, in place of /.
func makeRoot(rootFD int) error {
	if err := unix.MoveMount(rootFD, "", unix.AT_FDCWD, staging, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach root: %w", err)
	}
	unix.Close(rootFD)
	root, err := os.OpenRoot(staging)
	if err != nil {
		return fmt.Errorf("open root: %w", err)
	}
	defer root.Close()
	for _, n := range rootNodes() {
		if err := n.apply(root); err != nil && !n.optional {
			return fmt.Errorf("make %s: %w", n.path, err)
		}
	}
	return switchRoot()
}

// resizeShm gives /dev/shm the job's size in bytes.
func resizeShm(size int64) error {
	options := "size=" + strconv.FormatInt(size, 10)
	if err := unix.Mount("", "/dev/shm", "", unix.MS_REMOUNT|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, options); err != nil {
		return fmt.Errorf("resize /dev/shm: %w", err)
	}
	return nil
}

// apply makes one node. Every folder on the way is a real one: an image whose /dev is a
// symlink must not lead a mount anywhere else.
func (n node) apply(root *os.Root) error {
	at := staging + "/" + n.path
	switch n.kind {
	case folder:
		return makeFolder(root, n.path)
	case mount:
		return unix.Mount(n.source, at, n.source, n.flags, n.data)
	case link:
		return os.Symlink(n.source, at)
	case device:
		if err := os.WriteFile(at, nil, 0o644); err != nil {
			return err
		}
		return unix.Mount(n.source, at, "", unix.MS_BIND, "")
	case readOnly:
		if err := unix.Mount(at, at, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
			return err
		}
		return unix.Mount("", at, "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "")
	case masked:
		if _, err := os.Lstat(at); err != nil {
			return nil
		}
		return unix.Mount("/dev/null", at, "", unix.MS_BIND, "")
	}
	return errors.New("unknown kind of node")
}

// makeFolder sees to it that path is a folder, replacing whatever else the image has there.
func makeFolder(root *os.Root, path string) error {
	info, err := root.Lstat(path)
	if err == nil && info.IsDir() {
		return nil
	}
	if err == nil {
		if err := root.Remove(path); err != nil {
			return err
		}
	}
	return root.Mkdir(path, 0o755)
}

// switchRoot moves the assembled root over /. pivot_root refuses to work on an initramfs;
// the job can't reach what is below: it has no capability, and the mount is locked for
// any user namespace of its own.
func switchRoot() error {
	if err := os.Chdir(staging); err != nil {
		return fmt.Errorf("switch root: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("move root: %w", err)
	}
	if err := unix.Chroot("."); err != nil {
		return fmt.Errorf("switch root: %w", err)
	}
	return os.Chdir("/")
}
