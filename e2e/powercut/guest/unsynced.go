//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"unsafe"

	"golang.org/x/sys/unix"
)

// unsynced returns what starts a command whose fsyncs below a folder do nothing
// and report success: a store without its fsync, though it is the very program
// that users run. The kernel asks us about each (seccomp's user notification).
func unsynced(folder string) (func(*exec.Cmd) error, error) {
	starts, errs := make(chan *exec.Cmd), make(chan error)
	// A filter is one thread's, and the children's that it starts.
	go func() {
		runtime.LockOSThread()
		listener, err := filterSyncs()
		errs <- err
		if err != nil {
			return
		}
		go answer(listener, folder)
		for cmd := range starts {
			errs <- cmd.Start()
		}
	}()
	if err := <-errs; err != nil {
		return nil, fmt.Errorf("filter fsync: %w", err)
	}
	return func(cmd *exec.Cmd) error { starts <- cmd; return <-errs }, nil
}

// filterSyncs has this thread's fsync and fdatasync asked about at the descriptor that it returns.
func filterSyncs() (int, error) {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return 0, err
	}
	filter := []unix.SockFilter{
		{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS, K: 0}, // the system call's number
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 2, K: unix.SYS_FSYNC},
		{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jt: 1, K: unix.SYS_FDATASYNC},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW},
		{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_USER_NOTIF},
	}
	program := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	fd, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER,
		unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, uintptr(unsafe.Pointer(&program)))
	if errno != 0 {
		return 0, errno
	}
	return int(fd), nil
}

// notification is struct seccomp_notif, reply struct seccomp_notif_resp.
type (
	notification struct {
		ID         uint64
		PID, Flags uint32
		Nr         int32
		Arch       uint32
		IP         uint64
		Args       [6]uint64
	}
	reply struct {
		ID    uint64
		Val   int64
		Error int32
		Flags uint32
	}
)

// answer lets through what is not below the folder.
func answer(listener int, folder string) {
	for {
		var n notification
		if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_RECV, unsafe.Pointer(&n)); err != nil {
			if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOENT) {
				continue // who asked is gone
			}
			fmt.Println("guest: receive fsync:", err)
			return
		}
		r := reply{ID: n.ID}
		path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", n.PID, n.Args[0]))
		if err != nil || path != folder && !strings.HasPrefix(path, folder+"/") {
			r.Flags = unix.SECCOMP_USER_NOTIF_FLAG_CONTINUE
		}
		if err := ioctl(listener, unix.SECCOMP_IOCTL_NOTIF_SEND, unsafe.Pointer(&r)); err != nil && !errors.Is(err, unix.ENOENT) {
			fmt.Println("guest: answer fsync:", err)
		}
	}
}

func ioctl(fd int, request uintptr, argument unsafe.Pointer) error {
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), request, uintptr(argument)); errno != 0 {
		return errno
	}
	return nil
}
