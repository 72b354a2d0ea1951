package qemu

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestHostileQEMU puts an impostor in the place of a QEMU that is restored beside another: as the
// user, with the limits and with exactly the descriptors that QEMU is started with.
func TestHostileQEMU(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lacks(t, "not root: QEMU can't run as another user")
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
