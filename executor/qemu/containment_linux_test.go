package qemu

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

// expectedFD matches what a machine's descriptors may be, besides its files.
var expectedFD = regexp.MustCompile(`^(/dev/null( \(deleted\))?|pipe:\[\d+\]|socket:\[\d+\]|anon_inode:\[?(eventfd|eventpoll|signalfd|timerfd)\]?)$`)

func TestQEMUHoldsOnlyItsOwn(t *testing.T) {
	g := needGuest(t)
	if os.Getuid() != 0 {
		lacks(t, "not root: QEMU can't run as another user")
	}
	disk := filepath.Join(t.TempDir(), "disk")
	if err := os.WriteFile(disk, make([]byte, 4096), 0o400); err != nil {
		t.Fatal(err)
	}
	c := g.config()
	c.User, c.CPUs = SlotUser(7), 1
	c.Disks = []Disk{{Name: "root", Path: disk, ReadOnly: true}}
	m, _ := boot(t, c)

	fds := descriptors(t, m.PID())
	for fd, target := range fds {
		own := target == g.kernel || target == g.initramfs || target == disk
		if !own && !expectedFD.MatchString(target) {
			t.Errorf("QEMU holds %s: %s", fd, target)
		}
		if own && !strings.HasPrefix(fdFlags(t, m.PID(), fd), "0") {
			t.Errorf("QEMU holds %s (%s) writable", fd, target)
		}
	}
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", m.PID()))
	if err != nil {
		t.Fatal(err)
	}
	id := fmt.Sprint(c.User.UID)
	for _, want := range []string{
		"Uid:\t" + strings.Join([]string{id, id, id, id}, "\t"), "Gid:\t" + strings.Join([]string{id, id, id, id}, "\t"),
		"Groups:\t \n", "CapEff:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2",
	} {
		if !strings.Contains(string(status), want) {
			t.Errorf("status lacks %q:\n%s", want, status)
		}
	}
	limits, _ := os.ReadFile(fmt.Sprintf("/proc/%d/limits", m.PID()))
	if !regexp.MustCompile(`Max core file size +0 +0 `).Match(limits) || !regexp.MustCompile(`Max open files +256 +256 `).Match(limits) ||
		!strings.Contains(string(limits), fmt.Sprintf("Max address space         %-20d ", addressSpace(c)<<10)) {
		t.Errorf("limits:\n%s", limits)
	}
	if env, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", m.PID())); err != nil || strings.Contains(string(env), "HOME=") {
		t.Errorf("QEMU's environment: %q, %v", env, err)
	}
	f, err := statFields(m.PID())
	if err != nil || f[2] != fmt.Sprint(m.PID()) || f[3] != fmt.Sprint(m.PID()) {
		t.Errorf("process group %s and session %s are not QEMU's own (%d), %v", f[2], f[3], m.PID(), err)
	}
}

func descriptors(t *testing.T, pid int) map[string]string {
	t.Helper()
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	fds := map[string]string{}
	for _, e := range entries {
		if target, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			fds[e.Name()] = target
		}
	}
	return fds
}

// fdFlags returns a descriptor's access mode: 0 read, 1 write, 2 both.
func fdFlags(t *testing.T, pid int, fd string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%s", pid, fd))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if v, ok := strings.CutPrefix(line, "flags:"); ok {
			v = strings.TrimSpace(v)
			return v[len(v)-1:]
		}
	}
	t.Fatalf("no flags of descriptor %s", fd)
	return ""
}

// TestNothingLeaks is not parallel: it counts what this whole process holds.
func TestNothingLeaks(t *testing.T) {
	g := needGuest(t)
	run := t.TempDir()
	once := func() {
		c := g.config()
		c.RunDir = run
		m, err := Boot(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.Close(); err != nil {
			t.Fatal(err)
		}
	}
	once() // opens what stays open for good
	before, goroutines := descriptors(t, os.Getpid()), runtime.NumGoroutine()
	for range 20 {
		once()
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > goroutines && time.Now().Before(deadline); {
		time.Sleep(time.Millisecond) // the last ones are between their close(done) and their end
	}
	if n := runtime.NumGoroutine(); n > goroutines {
		buf := make([]byte, 1<<16)
		t.Errorf("%d goroutines, %d before:\n%s", n, goroutines, buf[:runtime.Stack(buf, true)])
	}
	if after := descriptors(t, os.Getpid()); len(after) > len(before) {
		t.Errorf("descriptors after: %v, before: %v", after, before)
	}
	if left, _ := os.ReadDir(run); len(left) > 0 {
		t.Errorf("run files left: %v", left)
	}
	if kids, _ := os.ReadFile(fmt.Sprintf("/proc/self/task/%d/children", os.Getpid())); len(kids) > 0 {
		t.Errorf("processes left: %s", kids)
	}
}

func startOwner(t *testing.T, g guest, run string) (*exec.Cmd, owned) {
	t.Helper()
	cmd := exec.Command(os.Args[0], ownerArg, g.kernel, g.initramfs, run)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	var o owned
	if err := json.NewDecoder(out).Decode(&o); err != nil {
		t.Fatal(err)
	}
	return cmd, o
}

func gone(pid int) bool {
	f, err := statFields(pid)
	return err != nil || f[0] == "Z"
}

func TestOwnerKilled(t *testing.T) {
	t.Parallel()
	run := t.TempDir()
	owner, vm := startOwner(t, needGuest(t), run)
	if ended, err := Sweep(run); err != nil || len(ended) > 0 || gone(vm.PID) {
		t.Errorf("a sweep under a living owner ended %v, %v", ended, err)
	}
	if err := owner.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); !gone(vm.PID); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("QEMU %d outlives its owner", vm.PID)
		}
	}
	_ = owner.Wait()
	if ended, err := Sweep(run); err != nil || len(ended) > 0 {
		t.Errorf("sweep after the end: %v, %v", ended, err)
	}
	if left, _ := os.ReadDir(run); len(left) > 0 {
		t.Errorf("run files left: %v", left)
	}
}

// TestSweep gives a living machine an owner that is dead, as when the signal of
// its death did not arrive.
func TestSweep(t *testing.T) {
	t.Parallel()
	run := t.TempDir()
	c := needGuest(t).config()
	c.RunDir = run
	m, err := Boot(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	path := filepath.Join(run, "pe-"+m.Instance()+".json")
	disown := func(change func(*runFile)) {
		t.Helper()
		start, err := startOf(m.PID())
		if err != nil {
			t.Fatal(err)
		}
		r := runFile{Instance: m.Instance(), PID: m.PID(), Start: start, Owner: 1, OwnerStart: "long ago"}
		change(&r)
		b, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, change := range map[string]func(*runFile){
		"another start":    func(r *runFile) { r.Start += "0" },
		"another instance": func(r *runFile) { r.Instance = "somebody" },
		"ourselves":        func(r *runFile) { r.PID = os.Getpid() },
		"everybody":        func(r *runFile) { r.PID = -1 },
	} {
		disown(change)
		if ended, err := Sweep(run); err != nil || len(ended) > 0 || gone(m.PID()) {
			t.Errorf("%s: sweep ended %v, %v", name, ended, err)
		}
	}
	disown(func(*runFile) {})
	for name, junk := range map[string]string{"pe-junk.json": "{", "pe-empty.json": "", "pe-long.json": strings.Repeat("x", maxRunFile+1)} {
		if err := os.WriteFile(filepath.Join(run, name), []byte(junk), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if swept, err := Sweep(run); err != nil || !slices.Equal(swept, []string{m.Instance()}) {
		t.Errorf("sweep ended %v, %v, want %s", swept, err, m.Instance())
	}
	ended(t, m)
	if left, _ := os.ReadDir(run); len(left) > 0 {
		t.Errorf("files left: %v", left)
	}
}
