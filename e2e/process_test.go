package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds waits for what must come. It is long because the machine may
// be busy with anything; nothing is measured by it.
const patience = 3 * time.Minute

// daemon is a process of its own that serves until it is told to end.
type daemon struct {
	name string
	cmd  *exec.Cmd
	log  *syncBuffer
	done chan error // holds the end of the process once it has ended
}

// launch starts a command of bin. It dies with the test process.
func launch(name string, args ...string) (*daemon, error) { return launchIn(bin, name, args...) }

// launchIn starts it in a folder.
func launchIn(dir, name string, args ...string) (*daemon, error) {
	d := &daemon{name: name, cmd: exec.Command(commands.Path(name), args...), log: &syncBuffer{}, done: make(chan error, 1)}
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	d.cmd.Dir = dir
	d.cmd.Env = environment()
	d.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := d.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	go func() { d.done <- d.cmd.Wait() }()
	return d, nil
}

// environment is ours without what would configure the commands under test, and
// with a folder for temporary files in which nothing may be left.
func environment(more ...string) []string {
	env := []string{"TMPDIR=" + temporary()}
	for _, pair := range os.Environ() {
		if !strings.HasPrefix(pair, "TMPDIR=") && !strings.HasPrefix(pair, "PED_") && !strings.HasPrefix(pair, "PE_SERVER=") && !strings.HasPrefix(pair, "PE_TOKEN=") {
			env = append(env, pair)
		}
	}
	return append(env, more...)
}

func temporary() string { return filepath.Join(bin, "tmp") }

// served starts a daemon for a test, which ends it and shows its log if it failed.
func served(t *testing.T, name string, args ...string) *daemon {
	t.Helper()
	return servedIn(t, bin, name, args...)
}

// servedIn starts it in a folder.
func servedIn(t *testing.T, dir, name string, args ...string) *daemon {
	t.Helper()
	d, err := launchIn(dir, name, args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("%s %v said:\n%s", name, args, tail(d.log.String(), 8<<10))
		}
	})
	return d
}

func (d *daemon) pid() int { return d.cmd.Process.Pid }

// ended reports whether the process has ended, and how.
func (d *daemon) ended() (error, bool) {
	select {
	case err := <-d.done:
		d.done <- err
		return err, true
	default:
		return nil, false
	}
}

// stop asks the process to end, and insists. One that was killed has stopped.
func (d *daemon) stop() error {
	if err, ended := d.ended(); ended {
		return d.fault(err)
	}
	d.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case err := <-d.done:
		d.done <- err
		return d.fault(err)
	case <-time.After(patience):
		d.kill()
		return fmt.Errorf("%s did not end within %s of SIGTERM", d.name, patience)
	}
}

// fault is the error of a process that ended by anything but our own hand.
func (d *daemon) fault(err error) error {
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
			return nil
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", d.name, err)
	}
	return nil
}

// kill ends it as a power cut would.
func (d *daemon) kill() {
	d.cmd.Process.Kill()
	d.done <- <-d.done
}

// says waits until its log holds a text.
func (d *daemon) says(t *testing.T, text string) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s says %q", d.name, text), func() bool {
		if err, ended := d.ended(); ended {
			t.Fatalf("%s ended before it said %q: %v\n%s", d.name, text, err, d.log)
		}
		return strings.Contains(d.log.String(), text)
	})
}

// eventually waits for something that has no event to wait for: it happens in another process.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !holds(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// syncBuffer may be read while a process still writes to it.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func tail(s string, n int) string {
	if len(s) > n {
		return "…" + s[len(s)-n:]
	}
	return s
}
