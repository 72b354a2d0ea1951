package sandbox

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// Limits of every process, from which the program inherits.
const (
	softFiles = 1024
	hardFiles = 65536
)

// dropPrivileges takes from this thread what the program must not inherit. The thread's own
// capabilities stay until the exec: packing needs them, and an empty bounding set means that
// an exec by root yields none.
func dropPrivileges() error {
	for c := uintptr(0); c <= unix.CAP_LAST_CAP; c++ {
		if err := unix.Prctl(unix.PR_CAPBSET_DROP, c, 0, 0, 0); err != nil && err != unix.EINVAL {
			return fmt.Errorf("drop capability %d: %w", c, err)
		}
	}
	if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0); err != nil {
		return fmt.Errorf("clear ambient capabilities: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	// The program runs as the same user as this process, if it is root in the image.
	if err := unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0); err != nil {
		return fmt.Errorf("hide from ptrace: %w", err)
	}
	unix.Umask(0o022)
	return setRlimits()
}

func setRlimits() error {
	var files unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("get limit of open files: %w", err)
	}
	files = unix.Rlimit{Cur: min(softFiles, files.Max), Max: min(hardFiles, files.Max)} // never raised: that needs a privilege
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return fmt.Errorf("limit open files: %w", err)
	}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return fmt.Errorf("forbid core files: %w", err)
	}
	return nil
}

// forbidNamespaces keeps the job from making user namespaces, in which it would be root again
// and reach much more of the kernel. The limit is the current user namespace's own.
func forbidNamespaces() error {
	err := os.WriteFile("/proc/sys/user/max_user_namespaces", []byte("0"), 0)
	if err != nil {
		return fmt.Errorf("forbid user namespaces: %w", err)
	}
	return nil
}
