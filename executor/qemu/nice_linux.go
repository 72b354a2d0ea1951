package qemu

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// lowerNice makes a process of one thread nice, and returns what undoes it. Who
// may not undo it, which takes CAP_SYS_NICE, had better not begin: the process
// is left as it is, and there is nothing to undo.
func lowerNice(pid int) (raise func() error) {
	normal, err := niceOf(pid)
	if err != nil || setNice(pid, normal-1) != nil {
		return nil
	}
	low := min(normal+lowNice, 19)
	if err := setNice(pid, low); err != nil {
		_ = setNice(pid, normal)
		return nil
	}
	grouped := setAutogroup(pid, lowNice) == nil
	return func() error {
		err := raiseNice(pid, low, normal)
		if grouped {
			err = errors.Join(err, setAutogroup(pid, 0))
		}
		return err
	}
}

// raiseNice raises all threads that are at low: each has a niceness of its own.
// One that was made meanwhile, by a thread that was not yet raised, is found in
// the next pass.
func raiseNice(pid, low, normal int) error {
	for again := true; again; {
		again = false
		tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
		if err != nil {
			return err
		}
		for _, t := range tasks {
			tid, err := strconv.Atoi(t.Name())
			if err != nil {
				continue
			}
			if nice, err := niceOf(tid); err != nil || nice != low {
				continue // ended meanwhile, or not ours to raise
			}
			if err := setNice(tid, normal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("raise priority of thread %d: %w", tid, err)
			}
			again = true
		}
	}
	return nil
}

func niceOf(tid int) (int, error) {
	n, err := syscall.Getpriority(syscall.PRIO_PROCESS, tid)
	return 20 - n, err // the system call's own answer, which is never negative
}

func setNice(tid, nice int) error { return syscall.Setpriority(syscall.PRIO_PROCESS, tid, nice) }

// setAutogroup sets the niceness of a process's whole session. Where the kernel
// schedules sessions as groups (kernel.sched_autogroup_enabled), a thread's own
// niceness counts only within its session, and QEMU has one to itself. Without
// CAP_SYS_ADMIN the kernel takes one such change in 100 ms.
func setAutogroup(pid, nice int) error {
	for try := 0; ; try++ {
		err := os.WriteFile(fmt.Sprintf("/proc/%d/autogroup", pid), []byte(strconv.Itoa(nice)), 0)
		if !errors.Is(err, syscall.EAGAIN) || try == 50 {
			return err
		}
		time.Sleep(5 * time.Millisecond)
	}
}
