package chaos

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/internal/hosttest"
)

// ofRun is the folder of a run that was cut off.
func ofRun(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "a run")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	log, err := createLog(dir)
	if err == nil {
		err = log.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for left, _ := hosttest.MountsBelow(dir); len(left) > 0; left, _ = hosttest.MountsBelow(dir) {
			if err := unix.Unmount(left[len(left)-1].At, unix.MNT_DETACH); err != nil {
				t.Fatal(err)
			}
		}
	})
	return dir
}

// TestReclaim: of a run that was cut off nothing is left, its disks neither.
func TestReclaim(t *testing.T) {
	t.Parallel()
	dir := ofRun(t)
	for _, name := range []string{"nats", "vm-1"} {
		d, err := newDisk(filepath.Join(dir, name), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		inner := filepath.Join(dir, name, "root")
		if err := os.Mkdir(inner, 0o755); err != nil {
			t.Fatal(err)
		}
		if d != nil { // as an executor mounts a machine's root on its disk
			if err := unix.Mount("rootfs", inner, "tmpfs", 0, "size=4096"); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := reclaim(dir); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder is there: %v", err)
	}
	if left, err := hosttest.MountsBelow(dir); err != nil || len(left) > 0 {
		t.Errorf("mounts %v, %v", left, err)
	}
	if err := reclaim(dir); err != nil {
		t.Errorf("nothing to reclaim: %v", err)
	}
}

// TestReclaimSpares what is not an ended run's.
func TestReclaimSpares(t *testing.T) {
	t.Parallel()
	for name, prepare := range map[string]func(t *testing.T, dir string) (undo func()){
		"a folder of something else": func(t *testing.T, dir string) func() {
			if err := os.Remove(filepath.Join(dir, runLog)); err != nil {
				t.Fatal(err)
			}
			return nil
		},
		"a run that is under way": func(t *testing.T, dir string) func() {
			log, err := createLog(dir)
			if err != nil {
				t.Fatal(err)
			}
			return func() { log.Close() }
		},
		"somebody's mount": func(t *testing.T, dir string) func() {
			mustBeRoot(t)
			if err := unix.Mount("somebodys", filepath.Join(dir, "kept"), "tmpfs", 0, "size=4096"); err != nil {
				t.Fatal(err)
			}
			return nil
		},
		"a mount of that name deeper down": func(t *testing.T, dir string) func() {
			mustBeRoot(t)
			if err := unix.Mount(diskSource, filepath.Join(dir, "kept", "deeper"), "tmpfs", 0, "size=4096"); err != nil {
				t.Fatal(err)
			}
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := ofRun(t)
			if err := os.MkdirAll(filepath.Join(dir, "kept", "deeper"), 0o755); err != nil {
				t.Fatal(err)
			}
			if undo := prepare(t, dir); undo != nil {
				defer undo()
			}
			before, _ := hosttest.MountsBelow(dir)
			if err := reclaim(dir); err == nil {
				t.Error("it was reclaimed")
			}
			if after, _ := hosttest.MountsBelow(dir); len(after) != len(before) {
				t.Errorf("mounts %v, were %v", after, before)
			}
			if _, err := os.Stat(filepath.Join(dir, "kept")); err != nil {
				t.Error(err)
			}
		})
	}
}

func mustBeRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		hosttest.Missing(t, "mounting wants root")
	}
}
