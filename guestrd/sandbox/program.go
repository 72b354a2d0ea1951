package sandbox

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ownBinary is guestrd, as every process started from it sees it; no image can hide it.
const ownBinary = "/proc/self/exe"

// lookupProgram finds what a shell would run, and refuses in a shell's words.
func lookupProgram(name, cwd string, env []string, user credentials) (string, error) {
	if strings.Contains(name, "/") {
		if !path.IsAbs(name) {
			name = path.Join(cwd, name)
		}
		return name, executable(name, user)
	}
	var denied error
	for dir := range strings.SplitSeq(searchPath(env), ":") {
		if dir == "" {
			dir = cwd
		}
		candidate := path.Join("/", dir, name)
		if !path.IsAbs(dir) {
			candidate = path.Join(cwd, dir, name)
		}
		err := executable(candidate, user)
		if err == nil {
			return candidate, nil
		}
		var r *refusal
		if errors.As(err, &r) && r.code == notExecutable {
			denied = err
		}
	}
	if denied != nil {
		return "", denied
	}
	return "", refuse(notFound, "%s: not found", name)
}

func searchPath(env []string) string {
	for _, e := range env {
		if p, ok := strings.CutPrefix(e, "PATH="); ok {
			return p
		}
	}
	return "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
}

func executable(file string, user credentials) error {
	info, err := os.Stat(file)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return refuse(notFound, "%s: not found", file)
	case err != nil:
		return refuse(notExecutable, "%s: %v", file, errors.Unwrap(err))
	case info.IsDir():
		return refuse(notExecutable, "%s: is a directory", file)
	case !info.Mode().IsRegular() || !mayExecute(info, user):
		return refuse(notExecutable, "%s: permission denied", file)
	}
	return nil
}

// mayExecute applies the mode bits; the kernel has the last word at the exec.
func mayExecute(info fs.FileInfo, user credentials) bool {
	mode := info.Mode().Perm()
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return mode&0o111 != 0
	}
	switch {
	case st.Uid == user.uid:
		return mode&0o100 != 0
	case st.Gid == user.gid:
		return mode&0o010 != 0
	}
	for _, g := range user.groups {
		if st.Gid == g {
			return mode&0o010 != 0
		}
	}
	return mode&0o001 != 0
}

// exec starts the program in its cgroup and as its user.
func (c *child) exec() (int, error) {
	groups := c.user.groups
	if groups == nil {
		groups = []uint32{}
	}
	attr := &syscall.ProcAttr{
		Dir:   c.setup.Cwd,
		Env:   environment(c.setup.Env, c.user),
		Files: []uintptr{uintptr(c.stdio[0]), uintptr(c.stdio[1]), uintptr(c.stdio[2])},
		Sys: &syscall.SysProcAttr{
			Setsid:     true,
			Credential: &syscall.Credential{Uid: c.user.uid, Gid: c.user.gid, Groups: groups},
		},
	}
	if fd, ok := c.fds[FDCgroup]; ok {
		attr.Sys.UseCgroupFD, attr.Sys.CgroupFD = true, fd
	}
	pid, err := syscall.ForkExec(c.path, c.setup.Argv, attr)
	if err != nil {
		return 0, execError(c.setup.Argv[0], err)
	}
	return pid, nil
}

// execError tells the job's mistakes from ours by what execve can say.
func execError(name string, err error) error {
	switch {
	case errors.Is(err, unix.ENOENT):
		// It was there when it was looked up, so its interpreter is what is missing.
		return refuse(notFound, "%s: not found (its interpreter is missing)", name)
	case errors.Is(err, unix.EACCES), errors.Is(err, unix.ENOEXEC), errors.Is(err, unix.ELIBBAD), errors.Is(err, unix.EINVAL),
		errors.Is(err, unix.E2BIG), errors.Is(err, unix.ETXTBSY), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOMEM):
		return refuse(notExecutable, "%s: %v", name, err)
	}
	return err
}

// environment adds the two variables that a program may expect and that no image sets.
func environment(env []string, user credentials) []string {
	has := func(name string) bool {
		for _, e := range env {
			if strings.HasPrefix(e, name+"=") {
				return true
			}
		}
		return false
	}
	if !has("HOME") {
		env = append(env, "HOME="+user.home)
	}
	if !has("PATH") {
		env = append(env, "PATH="+searchPath(nil))
	}
	return env
}
