package sandbox

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Inside does the child's work in a process that was born in a job's root: where the host
// made the root, namespaces and cgroup itself, guestrd is already what the child becomes
// elsewhere. Its methods are called in their order, by a goroutine that is locked to its thread.
type Inside struct{ child child }

// Enter takes from this thread, and so from the program, all that the job must not inherit.
func (i *Inside) Enter() error {
	if err := dropPrivileges(); err != nil {
		return err
	}
	return dropInheritable()
}

// dropInheritable takes the capabilities that a process 1 which isn't root got through its own exec.
func dropInheritable() error {
	head := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var caps [2]unix.CapUserData
	if err := unix.Capget(&head, &caps[0]); err != nil {
		return fmt.Errorf("read capabilities: %w", err)
	}
	caps[0].Inheritable, caps[1].Inheritable = 0, 0
	if err := unix.Capset(&head, &caps[0]); err != nil {
		return fmt.Errorf("drop inheritable capabilities: %w", err)
	}
	return nil
}

// Prepare does everything up to the program's start. The descriptors are those that Setup.FDs name, in order.
func (i *Inside) Prepare(s Setup, fds []int) (*Prepared, *Refused, error) {
	i.child.setup, i.child.fds = s, map[string]int{}
	for n, role := range s.FDs {
		i.child.fds[role] = fds[n]
	}
	// The names are the host's doing here, and so is the size of /dev/shm: it is a folder of the scratch.
	i.child.names = s.Names
	prepared, err := i.child.prepareIn()
	refused, err := split(err)
	return prepared, refused, err
}

// Start starts the program.
func (i *Inside) Start() (pid int, refused *Refused, err error) {
	pid, err = i.child.exec()
	if err == nil {
		i.child.closeStdio()
	}
	refused, err = split(err)
	return pid, refused, err
}

// Collect packs the outputs onto a descriptor, which it closes.
func (i *Inside) Collect(fd int) (*Collected, error) { return i.child.packOutputs(fd) }

// Wait reaps until the program is over.
func Wait(pid int) (*Exited, error) { return waitFor(pid) }

// split tells a job's own mistake from the platform's failure.
func split(err error) (*Refused, error) {
	var refused *refusal
	if errors.As(err, &refused) {
		return &Refused{Code: refused.code, Message: refused.Error()}, nil
	}
	return nil, err
}

// WriteNames puts a machine's names into the files of the root that hold them.
func WriteNames(to Names) error {
	root, err := os.OpenRoot("/")
	if err != nil {
		return fmt.Errorf("open root: %w", err)
	}
	defer root.Close()
	return writeNames(root, to)
}
