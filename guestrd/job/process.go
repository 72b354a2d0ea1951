package job

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/guestrd/sandbox"
)

// idMap says which users of the machine are users 0 to 65535 of the job.
type idMap struct{ base int }

// highIDs keeps the job's users apart from the machine's own.
func highIDs() idMap { return idMap{base: 100000} }

// identityIDs is for kernels that can't map an image's owners.
func identityIDs() idMap { return idMap{} }

func (m idMap) mappings() []syscall.SysProcIDMap {
	return []syscall.SysProcIDMap{{ContainerID: 0, HostID: m.base, Size: 65536}}
}

// process is a child of guestrd inside its namespaces.
type process struct {
	pid     int
	control *os.File
	cgroup  *cgroup
	layer   *layer // the writable layer of its root; it outlives the process
	root    int    // descriptor of its root's mount, or -1
	waits   bool   // its root is made
	dead    sync.Once
}

// namespaces of every job.
const namespaces = unix.CLONE_NEWUSER | unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS |
	unix.CLONE_NEWIPC | unix.CLONE_NEWNET | unix.CLONE_NEWCGROUP

// spawn starts the child; it waits for its first order.
func spawn(self string, group *cgroup, ids idMap) (*process, error) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("spawn child: %w", err)
	}
	defer unix.Close(pair[1])
	attr := &syscall.ProcAttr{
		Dir:   "/",
		Env:   []string{"GOMAXPROCS=2", "GODEBUG=" + os.Getenv("GODEBUG")},
		Files: []uintptr{0, 1, 2, uintptr(pair[1])},
		Sys: &syscall.SysProcAttr{
			Cloneflags:                 namespaces,
			UidMappings:                ids.mappings(),
			GidMappings:                ids.mappings(),
			GidMappingsEnableSetgroups: true,
			Credential:                 &syscall.Credential{Groups: []uint32{}},
			UseCgroupFD:                true,
			CgroupFD:                   group.initFD,
		},
	}
	pid, err := syscall.ForkExec(self, []string{"guestrd", sandbox.ChildArg}, attr)
	if err != nil {
		unix.Close(pair[0])
		return nil, fmt.Errorf("spawn child: %w", err)
	}
	return &process{pid: pid, control: os.NewFile(uintptr(pair[0]), "control"), cgroup: group, root: -1}, nil
}

// stage has the child make its root, of a fresh layer over the lower folders. It does not wait for it.
func (p *process) stage(path string, lower []string, names sandbox.Names, ids idMap) error {
	var err error
	if p.layer, err = newLayer(path, ids); err != nil {
		return err
	}
	if p.root, err = p.layer.over(lower); err != nil {
		return err
	}
	return sandbox.Send(p.control, sandbox.Order{Root: &sandbox.Root{Names: names}}, p.root)
}

// staged waits until the child has made its root.
func (p *process) staged() error {
	if p.waits {
		return nil
	}
	var report sandbox.Report
	_, err := sandbox.Receive(p.control, &report)
	switch {
	case err != nil:
		return fmt.Errorf("make root: %w", err)
	case report.Failed != "":
		return errors.New(report.Failed)
	case !report.Rooted:
		return errors.New("make root: unexpected report")
	}
	p.waits = true
	return nil
}

// discard ends a child that has had no run.
func (p *process) discard() {
	p.kill()
	if p.layer != nil {
		p.layer.remove()
	}
}

// kill ends the child, and with it its PID namespace, and takes its cgroup away.
func (p *process) kill() { p.dead.Do(p.end) }

func (p *process) end() {
	p.cgroup.killAll()
	unix.Kill(p.pid, unix.SIGKILL)
	for {
		if _, err := syscall.Wait4(p.pid, nil, 0, nil); err != syscall.EINTR {
			break
		}
	}
	p.control.Close()
	if p.root >= 0 {
		closeFD(p.root)
	}
	p.cgroup.remove()
}

// mapOwners replaces the mount at path by one whose owners are those of the process's user namespace.
func mapOwners(path string, pid int) error {
	ns, err := os.Open("/proc/" + strconv.Itoa(pid) + "/ns/user")
	if err != nil {
		return fmt.Errorf("map owners: %w", err)
	}
	defer ns.Close()
	tree, err := unix.OpenTree(unix.AT_FDCWD, path, unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC)
	if err != nil {
		return fmt.Errorf("map owners: clone mount %s: %w", path, err)
	}
	defer unix.Close(tree)
	attr := &unix.MountAttr{Attr_set: unix.MOUNT_ATTR_IDMAP, Userns_fd: uint64(ns.Fd())}
	if err := unix.MountSetattr(tree, "", unix.AT_EMPTY_PATH, attr); err != nil {
		return fmt.Errorf("map owners of %s: %w", path, err)
	}
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, path, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("map owners: attach %s: %w", path, err)
	}
	return nil
}
