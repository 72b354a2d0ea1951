package qemu

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"

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

// TestHostileQEMU puts an impostor in the place of a QEMU that is restored beside another: as the
// user, with the limits and with exactly the descriptors that QEMU is started with.
func TestHostileQEMU(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		t.Skip("not root: QEMU can't run as another user")
	}
	b := bakeGuest(t)
	other, talk, _ := b.clone(t, 13)
	talk.ask("recall")
	before := digestOf(t, b.Template.ram, b.size)
	store := filepath.Join(guestDir, "store") // its folder's own mode is what protects a store
	if err := os.Mkdir(store, 0o700); err != nil {
		t.Fatal(err)
	}
	var paths []string
	for _, name := range []string{"ram", "state"} {
		f := createFile(t, store, name)
		if err := f.Chmod(0o666); err != nil { // as in the middle of a bake
			t.Fatal(err)
		}
		paths = append(paths, f.Name())
	}
	careless := createFile(t, store, "log") // left open in whoever started us
	if _, err := unix.FcntlInt(careless.Fd(), unix.F_SETFD, 0); err != nil {
		t.Fatal(err)
	}
	c := b.config
	c.template, c.User, c.Instance = b.Template, SlotUser(14), newInstance()
	root, disk := createFile(t, t.TempDir(), "root"), createFile(t, t.TempDir(), "disk")
	if _, err := root.Write(make([]byte, page)); err != nil {
		t.Fatal(err)
	}
	c.Disks = []Disk{{Name: "root", File: root, ReadOnly: true}, {Name: "inputs", File: disk, Size: page}}
	got, uses := runImpostor(t, c, spoils{append(paths, careless.Name()), []int{os.Getpid(), other.PID()}})
	checkDescriptors(t, got.Descriptors, uses, map[string]string{
		"disk root": regexp.QuoteMeta(root.Name()), "disk inputs": regexp.QuoteMeta(disk.Name()),
	}, c)
	for what, number := range got.Attempts {
		if !slices.Contains([]syscall.Errno{unix.EPERM, unix.EACCES, unix.EBADF, unix.EINVAL}, number) {
			t.Errorf("%s: got %v (%d), want it refused", what, number, int(number))
		}
	}
	if len(got.Attempts) < 80 {
		t.Errorf("only %d attempts", len(got.Attempts))
	}
	t.Logf("%d attempts refused", len(got.Attempts))
	if digestOf(t, b.Template.ram, b.size) != before {
		t.Error("the template has changed")
	}
	if got := talk.ask("recall"); got != "apples" {
		t.Errorf("the other guest recalls %q", got)
	}
}

// runImpostor starts it the way that a machine is started.
func runImpostor(t *testing.T, c Config, s spoils) (got plunder, uses []FDUse) {
	t.Helper()
	c.Binary = filepath.Join(guestDir, impostorName)
	copyProgram(t, c.Binary)
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(c.Binary+".json", b, 0o644); err != nil {
		t.Fatal(err)
	}
	c, err = c.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	args, uses, err := Args(c)
	if err != nil {
		t.Fatal(err)
	}
	in, err := open(c, uses)
	if err != nil {
		t.Fatal(err)
	}
	defer in.closeOurs()
	defer in.closeTheirs()
	var said bytes.Buffer
	p, err := startProcess(c, args, in.files, &said)
	if err != nil {
		t.Fatal(err)
	}
	<-p.done
	if err := json.Unmarshal(said.Bytes(), &got); err != nil {
		t.Fatalf("the impostor ended with %v: %v: %.2000s", p.state(), err, said.Bytes())
	}
	return got, uses
}

func copyProgram(t *testing.T, to string) {
	t.Helper()
	from, err := os.Open("/proc/self/exe")
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(f, from); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// checkDescriptors compares what a process has with what it must have, one by one.
func checkDescriptors(t *testing.T, got []descriptor, uses []FDUse, disks map[string]string, c Config) {
	t.Helper()
	want := map[int]string{0: "/dev/null", 1: "/dev/null", 2: `pipe:\[\d+\]`}
	for _, u := range uses {
		switch u.Role {
		case roleQMP, roleChannel, roleConsole:
			want[u.FD] = `socket:\[\d+\]`
		case roleRAM:
			want[u.FD] = `/memfd:pe-ram \(deleted\)`
		case roleState:
			want[u.FD] = `/memfd:pe-state \(deleted\)`
		case roleDisk:
			want[u.FD] = disks["disk "+c.Disks[u.Disk].Name]
		}
	}
	for _, d := range got {
		if w := want[d.FD]; w == "" || !regexp.MustCompile("^"+w+"$").MatchString(d.Target) {
			t.Errorf("descriptor %d is %s, want %q", d.FD, d.Target, w)
		}
		if precious.MatchString(d.Target) && d.Mode != unix.O_RDONLY {
			t.Errorf("descriptor %d (%s) is writable", d.FD, d.Target)
		}
		delete(want, d.FD)
	}
	for fd, target := range want {
		t.Errorf("descriptor %d (%s) is missing", fd, target)
	}
}
