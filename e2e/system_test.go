package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// system is a `ped up`.
type system struct {
	server
	*daemon
	dir string
}

// up starts a system of its own with the given further arguments and ends it with the test.
func up(t *testing.T, args ...string) system {
	t.Helper()
	return upIn(t, t.TempDir(), args...)
}

// upIn does so in a folder that may hold an earlier system's data.
func upIn(t *testing.T, dir string, args ...string) system {
	t.Helper()
	s := system{dir: dir, daemon: served(t, "ped", upArgs(t, dir, args...)...)}
	url, err := s.ready()
	if err != nil {
		t.Fatal(err)
	}
	s.url = url
	return s
}

// upArgs are the arguments of a system that keeps everything in a folder.
func upArgs(t *testing.T, dir string, args ...string) []string {
	t.Helper()
	os.Remove(filepath.Join(dir, "ready"))
	return append([]string{"up",
		"--data-dir", filepath.Join(dir, "data"), "--listen", "127.0.0.1:0", "--ready-file", filepath.Join(dir, "ready"),
		"--guest-dir", guests(t), "--catalog", catalog(t, dir), "--slots", "2", "--allow-loopback-registry"}, args...)
}

// ready waits for the address that a daemon writes when it takes jobs.
func (s system) ready() (string, error) { return s.readyIn(filepath.Join(s.dir, "ready")) }

func (d *daemon) readyIn(file string) (string, error) {
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if text, err := os.ReadFile(file); err == nil {
			return strings.TrimSpace(string(text)), nil
		}
		if err, ended := d.ended(); ended {
			return "", fmt.Errorf("%s ended before it was ready: %v\n%s", d.name, err, d.log)
		}
	}
	return "", fmt.Errorf("%s is not ready after %s\n%s", d.name, patience, d.log)
}

// guests is a folder with the guest for amd64 alone, whatever this machine's cache has.
func guests(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(bin, "guests")
	err := os.MkdirAll(dir, 0o755)
	if err == nil {
		err = os.Symlink(cache(t, "guest", "amd64"), filepath.Join(dir, "amd64"))
	}
	if err != nil && !errors.Is(err, os.ErrExist) {
		t.Fatal(err)
	}
	return dir
}

// catalog writes one that names the images by their place in the test's registry.
func catalog(t *testing.T, dir string) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("images:\n")
	for _, name := range images {
		fmt.Fprintf(&text, "  %s:\n    reference: %s\n", name, registryHas(t, name))
	}
	path := filepath.Join(dir, "catalog.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// sharedBox is a system that harmless scenarios have in common: a start costs
// seconds, and so does each image. TestMain ends it.
var sharedBox struct {
	once sync.Once
	system
	err error
}

func shared(t *testing.T) system {
	t.Helper()
	sharedBox.once.Do(func() {
		sharedBox.err = errors.New("the machine lacks what it needs")
		dir := filepath.Join(bin, "shared")
		if sharedBox.err = os.Mkdir(dir, 0o755); sharedBox.err != nil {
			return
		}
		s := &sharedBox.system
		s.dir = dir
		if s.daemon, sharedBox.err = launch("ped", upArgs(t, dir)...); sharedBox.err != nil {
			return
		}
		s.url, sharedBox.err = s.ready()
	})
	if sharedBox.err != nil {
		t.Fatalf("the shared system did not start: %v", sharedBox.err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the shared system said:\n%s", tail(sharedBox.log.String(), 8<<10))
		}
	})
	return sharedBox.system
}

func stopShared() error {
	if sharedBox.daemon == nil {
		return nil
	}
	if err := sharedBox.stop(); err != nil {
		return fmt.Errorf("stop the shared system: %w\n%s", err, tail(sharedBox.log.String(), 8<<10))
	}
	return nil
}
