package qemu

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func ended(t *testing.T, m *Machine) *ExitError {
	t.Helper()
	select {
	case <-m.Done():
	case <-time.After(readyWait):
		t.Fatal("machine does not end")
	}
	var e *ExitError
	if !errors.As(m.Err(), &e) {
		t.Fatalf("got %v, want an ExitError", m.Err())
	}
	return e
}

func TestDisks(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	dir := t.TempDir()
	file, err := os.Create(filepath.Join(dir, "inputs"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	root := filepath.Join(dir, "root")
	if err := os.WriteFile(root, append([]byte("the root"), make([]byte, 8184)...), 0o400); err != nil {
		t.Fatal(err)
	}
	c := g.config()
	c.User = SlotUser(3)
	c.Disks = []Disk{{Name: "root", Path: root, ReadOnly: true}, {Name: "inputs", File: file, Size: 4096}}
	m, talk := boot(t, c)

	if got := talk.ask("size inputs"); got != "8" {
		t.Errorf("placeholder has %s sectors, want 8", got)
	}
	if got := talk.ask("ro root") + talk.ask("ro inputs"); got != "10" {
		t.Errorf("read-only flags of root and inputs: %s, want 10", got)
	}
	if got := talk.ask("head root"); got != "the root" {
		t.Errorf("root begins with %q", got)
	}
	const size = 4 << 20
	if _, err := file.WriteAt([]byte("filled later"), 0); err != nil {
		t.Fatal(err)
	}
	if err := m.ResizeDisk(t.Context(), "inputs", size); err != nil {
		t.Fatal(err)
	}
	if got := talk.ask("size inputs"); got != "8192" {
		t.Errorf("resized disk has %s sectors, want 8192", got)
	}
	if got := talk.ask("head inputs"); got != "filled later" {
		t.Errorf("resized disk begins with %q", got)
	}
	if err := m.ResizeDisk(t.Context(), "root", size); err == nil {
		t.Error("a read-only disk was resized")
	}
	for _, wrong := range []int64{0, -512, 513} {
		if err := m.ResizeDisk(t.Context(), "inputs", wrong); err == nil {
			t.Errorf("size %d was taken", wrong)
		}
	}
}

func TestQEMUKilled(t *testing.T) {
	t.Parallel()
	m, talk := boot(t, needGuest(t).config())
	if u, err := m.Usage(); err != nil || u.CPU <= 0 || u.RSS < 32<<20 || u.PeakRSS < u.RSS || u.PSS <= 0 {
		t.Errorf("usage of a running machine: %+v, %v", u, err)
	}
	if m.Err() != nil {
		t.Errorf("error of a running machine: %v", m.Err())
	}
	if err := syscall.Kill(m.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	e := ended(t, m)
	if e.Killed != nil || e.Signal() != syscall.SIGKILL || !strings.Contains(e.Error(), "killed") {
		t.Errorf("got %v (killed by us: %v, signal %v)", e, e.Killed, e.Signal())
	}
	if talk.in.Scan() {
		t.Errorf("a dead machine said %q", talk.in.Text())
	}
	if u, err := m.Usage(); err != nil || u.CPU <= 0 || u.PeakRSS <= 0 {
		t.Errorf("usage of an ended machine: %+v, %v", u, err)
	}
	if err := m.ResizeDisk(t.Context(), "inputs", 512); err == nil {
		t.Error("a dead machine resized a disk")
	}
}

func TestContextEnds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	m, err := Boot(ctx, needGuest(t).config())
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("deadline of the job")
	cancel(why)
	if e := ended(t, m); !errors.Is(e, why) {
		t.Errorf("got %v, want %v", e, why)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if _, err := Boot(ctx, needGuest(t).config()); !errors.Is(err, why) {
		t.Errorf("boot under an ended context: %v, want %v", err, why)
	}
}

func TestGuestEnds(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	for command, want := range map[string]string{
		"reset": "guest ended itself: guest-reset",
		"panic": "guest kernel panicked",
	} {
		m, talk := boot(t, g.config())
		talk.say(command)
		if e := ended(t, m); !strings.Contains(e.Error(), want) || e.Guest == "" {
			t.Errorf("%s: got %q (%s), want %q", command, e, e.Guest, want)
		}
	}
}

func TestConsoleIsCapped(t *testing.T) {
	t.Parallel()
	c := needGuest(t).config()
	c.ConsoleLimit = 2000
	m, talk := boot(t, c)
	talk.say("chatter")
	for deadline := time.Now().Add(readyWait); len(m.Console()) < c.ConsoleLimit; {
		if time.Now().After(deadline) {
			t.Fatalf("console has %d bytes", len(m.Console()))
		}
		time.Sleep(5 * time.Millisecond)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if n := len(ended(t, m).Console); n != c.ConsoleLimit {
		t.Errorf("%d bytes of console kept, want %d", n, c.ConsoleLimit)
	}
	if err := m.Close(); err != nil || !errors.Is(m.Err(), ErrClosed) {
		t.Errorf("second close: %v, reason: %v", err, m.Err())
	}
}

func TestBootFails(t *testing.T) {
	t.Parallel()
	g := needGuest(t)
	secret := filepath.Join(t.TempDir(), "kernel")
	if err := os.WriteFile(secret, []byte("not a kernel"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no kernel":       {func(c *Config) { c.Kernel = secret + "x" }, "no such file"},
		"bad kernel":      {func(c *Config) { c.Kernel = secret }, "linux kernel too old"},
		"unreadable":      {func(c *Config) { c.Kernel = secret; c.User = &Credential{UserBase, UserBase} }, "can't read it"},
		"no disk":         {func(c *Config) { c.Disks = []Disk{{Name: "a", Path: secret + "x"}} }, "open disk a"},
		"not a cpu model": {func(c *Config) { c.CPUModel = "abacus" }, "unable to find CPU model"},
		"not a binary":    {func(c *Config) { c.Binary = secret }, "Permission denied"},
	} {
		config := g.config()
		c.change(&config)
		m, err := Boot(t.Context(), config)
		if err == nil {
			_ = m.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want an error with %q", name, err, c.want)
		}
	}
}
