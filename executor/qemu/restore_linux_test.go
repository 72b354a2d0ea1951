package qemu

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestTemplateCantBeWritten tries, as root, all ways that a QEMU could take which
// its guest has taken over, by the very descriptors that it holds.
func TestTemplateCantBeWritten(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lacks(t, "not root: can't open another process's descriptors")
	}
	b := bakeGuest(t)
	m, talk, _ := b.clone(t, 5)
	talk.ask("recall")
	before := digestOf(t, b.Template.ram, b.size)
	held := 0
	for fd, target := range descriptors(t, m.PID()) {
		if !strings.Contains(target, "memfd:pe-") {
			if strings.Contains(target, b.ram.Name()) || strings.Contains(target, b.state.Name()) {
				t.Errorf("QEMU holds the template's own file: %s", target)
			}
			continue
		}
		held++
		f, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/%s", m.PID(), fd), os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for what, err := range writeEveryWay(f) {
			if !errors.Is(err, unix.EPERM) {
				t.Errorf("%s: %s: got %v, want EPERM", target, what, err)
			}
		}
		_ = f.Close()
	}
	if held < 2 {
		t.Errorf("QEMU holds %d descriptors of its template", held)
	}
	if digestOf(t, b.Template.ram, b.size) != before {
		t.Error("the template has changed")
	}
	if got := talk.ask("recall"); got != "apples" {
		t.Errorf("guest recalls %q", got)
	}
}

func writeEveryWay(f *os.File) map[string]error {
	fd := int(f.Fd())
	_, written := f.WriteAt([]byte("x"), 0)
	_, shared := unix.Mmap(fd, 0, page, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	_, unsealed := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_FUTURE_WRITE)
	return map[string]error{
		"write": written, "map shared": shared, "add a seal": unsealed,
		"shrink":     unix.Ftruncate(fd, 0),
		"grow":       unix.Ftruncate(fd, 1<<40),
		"punch hole": unix.Fallocate(fd, unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, 0, page),
	}
}

const page = 4096

// TestRestoredIsContained holds a restored QEMU to what a booted one is held to.
func TestRestoredIsContained(t *testing.T) {
	t.Parallel()
	if os.Getuid() != 0 {
		lacks(t, "not root: QEMU can't run as another user")
	}
	b := bakeGuest(t)
	m, talk, disk := b.clone(t, 6)
	talk.ask("recall")
	for fd, target := range descriptors(t, m.PID()) {
		own := target == disk.Name() || strings.HasPrefix(target, "/memfd:pe-")
		if !own && !expectedFD.MatchString(target) {
			t.Errorf("QEMU holds %s: %s", fd, target)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.PID()))
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(SlotUser(27).UID)
	for _, want := range []string{
		"Uid:\t" + strings.Join([]string{id, id, id, id}, "\t"), "Groups:\t \n",
		"CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
}

// TestRestoreLeaksNothing is not parallel: it counts what this whole process holds.
func TestRestoreLeaksNothing(t *testing.T) {
	b := bakeGuest(t)
	once := func() {
		c := b.config
		c.RunDir = t.TempDir()
		c.Disks = []Disk{{Name: "inputs", File: b.config.Disks[0].File}}
		m, err := Restore(t.Context(), c, b.Template)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	once()
	before, goroutines := descriptors(t, os.Getpid()), runtime.NumGoroutine()
	for range 10 {
		once()
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the last ones are between their close(done) and their end
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		t.Errorf("%d goroutines, %d before", n, goroutines)
	}
	if after := descriptors(t, os.Getpid()); len(after) > len(before) {
		t.Errorf("descriptors after: %v, before: %v", after, before)
	}
}
