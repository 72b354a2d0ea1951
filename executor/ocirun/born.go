//go:build linux

package ocirun

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// start starts a command whose processes are in the group from their first moment on.
func (g *cgroup) start(cmd *exec.Cmd) error {
	if dir, ok := g.dirs[unified]; ok {
		f, err := os.Open(dir)
		if err != nil {
			return fmt.Errorf("open cgroup: %w", err)
		}
		defer f.Close()
		if cmd.SysProcAttr == nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{}
		}
		cmd.SysProcAttr.UseCgroupFD, cmd.SysProcAttr.CgroupFD = true, int(f.Fd())
		return cmd.Start()
	}
	return g.startFrom(cmd)
}

// startFrom starts it from a thread that is in the group for that moment: version 1 lets threads of
// a process be in different groups, and a child is born in that of the thread that makes it.
func (g *cgroup) startFrom(cmd *exec.Cmd) error {
	runtime.LockOSThread()
	tid := strconv.Itoa(unix.Gettid())
	defer func() {
		// A thread that could not go back ends with this goroutine's lock: it must not serve others.
		for controller := range g.dirs {
			if os.WriteFile(g.parents.v1[controller]+"/tasks", []byte(tid), 0) != nil {
				return
			}
		}
		runtime.UnlockOSThread()
	}()
	for _, dir := range g.dirs {
		if err := os.WriteFile(dir+"/tasks", []byte(tid), 0); err != nil {
			return fmt.Errorf("enter cgroup: %w", err)
		}
	}
	return cmd.Start()
}
