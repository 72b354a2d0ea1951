package qemu

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"syscall"

	"golang.org/x/sys/unix"
)

// impostorName is what the test binary is called where QEMU should be. It is then a
// QEMU that its guest has taken over completely, and that has not even a sandbox.
const impostorName = "hostile-qemu"

// spoils is what an impostor goes for besides its own descriptors: files of
// others by path, and processes of others.
type spoils struct {
	Paths []string
	PIDs  []int
}

// plunder is what an impostor tells: its descriptors, and the error number of each attempt, 0 for a success.
type plunder struct {
	Descriptors []descriptor
	Attempts    map[string]syscall.Errno
}

type descriptor struct {
	FD     int
	Target string
	Mode   int // unix.O_RDONLY and its like
}

// impostor tries everything, and writes it to stderr, which is all that it has.
func impostor() int {
	p := plunder{Descriptors: ownDescriptors(), Attempts: map[string]syscall.Errno{}}
	var s spoils
	b, err := os.ReadFile(os.Args[0] + ".json")
	if err == nil {
		err = json.Unmarshal(b, &s)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	for _, d := range p.Descriptors {
		if precious.MatchString(d.Target) {
			p.force(fmt.Sprintf("%s by descriptor %d", d.Target, d.FD), d.FD)
			again, err := unix.Open(fmt.Sprintf("/proc/self/fd/%d", d.FD), unix.O_RDWR, 0)
			if err != nil {
				p.note(d.Target+" opened again", err)
				continue
			}
			p.force(fmt.Sprintf("%s by descriptor %d, opened again", d.Target, d.FD), again)
		}
	}
	for _, path := range s.Paths {
		p.burgle(path)
	}
	for _, pid := range s.PIDs {
		p.assault(pid)
	}
	p.note("become root", unix.Setresuid(0, 0, 0))
	p.note("use more memory", unix.Setrlimit(unix.RLIMIT_AS, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY}))
	p.note("open more files", unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 4096, Max: 4096}))
	if err := json.NewEncoder(os.Stderr).Encode(p); err != nil {
		return 1
	}
	return 0
}

// precious descriptors are those that others have, too: a machine's writable disks are its own.
var precious = regexp.MustCompile(`^/memfd:pe-|/root$`)

// goRuntimes are what the impostor's own language opens.
var goRuntimes = regexp.MustCompile(`^(anon_inode:\[event(poll|fd)\]|/sys/fs/cgroup/.*/cpu\.(cfs_(quota|period)_us|max))$`)

// ownDescriptors opens none to find them.
func ownDescriptors() (all []descriptor) {
	for fd := range 256 {
		target, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", fd))
		if err != nil {
			continue
		}
		flags, _ := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0)
		if !goRuntimes.MatchString(target) {
			all = append(all, descriptor{fd, target, flags & unix.O_ACCMODE})
		}
	}
	return all
}

func (p *plunder) note(what string, err error) {
	var number syscall.Errno
	if err != nil && !errors.As(err, &number) {
		number = syscall.EIO
	}
	p.Attempts[what] = number
}

// force tries to change the file behind a descriptor.
func (p *plunder) force(what string, fd int) {
	f := os.NewFile(uintptr(fd), what)
	for how, err := range writeEveryWay(f) {
		p.note(what+": "+how, err)
	}
	p.note(what+": write at its position", second(unix.Write(fd, []byte("x"))))
	p.note(what+": map, then allow writing", mapThenWrite(fd))
	p.note(what+": change its mode", unix.Fchmod(fd, 0o777))
	p.note(what+": take it", unix.Fchown(fd, os.Getuid(), os.Getgid()))
}

func second(_ int, err error) error { return err }

func mapThenWrite(fd int) error {
	m, err := unix.Mmap(fd, 0, page, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return err
	}
	return unix.Mprotect(m, unix.PROT_READ|unix.PROT_WRITE)
}

// burgle tries to get at a file by its path.
func (p *plunder) burgle(path string) {
	for how, flag := range map[string]int{"read": unix.O_RDONLY, "write": unix.O_WRONLY, "cut": unix.O_WRONLY | unix.O_TRUNC} {
		p.note(path+": "+how, second(unix.Open(path, flag, 0)))
	}
	p.note(path+": remove", unix.Unlink(path))
	p.note(path+": change its mode", unix.Chmod(path, 0o777))
	p.note(path+": list its folder", second(unix.Open(filepath.Dir(path), unix.O_RDONLY|unix.O_DIRECTORY, 0)))
}

// assault tries to get at a process.
func (p *plunder) assault(pid int) {
	what := fmt.Sprintf("process %d", pid)
	for _, file := range []string{"mem", "fd", "root", "environ"} {
		p.note(what+": "+file, second(unix.Open(fmt.Sprintf("/proc/%d/%s", pid, file), unix.O_RDONLY, 0)))
	}
	p.note(what+": signal", unix.Kill(pid, 0))
	p.note(what+": trace", unix.PtraceSeize(pid))
	handle, err := unix.PidfdOpen(pid, 0)
	if err == nil {
		_, err = unix.PidfdGetfd(handle, 0, 0)
	}
	p.note(what+": take a descriptor", err)
}
