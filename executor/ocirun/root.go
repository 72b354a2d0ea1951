//go:build linux

package ocirun

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Names in a machine's folder.
const (
	scratchFolder = "scratch" // tmpfs of the scratch limit's size
	rootFolder    = "root"    // what the machine has as /
	lowerFolder   = "lower-"  // and a number: a layer with the machine's owners
	stateFolder   = "state"   // the runtime's own
	pidFile       = "pid"
	configFile    = "config.json"
	shmFolder     = "shm" // of the scratch: /dev/shm
)

// makeRoot mounts the machine's root in dir: a fresh layer of limited size over the others, topmost first.
func makeRoot(dir string, layers []string, users *Users, scratch int64) error {
	base := 0
	if users != nil {
		base = users.Base
	}
	at := filepath.Join(dir, scratchFolder)
	for _, folder := range []string{at, filepath.Join(dir, rootFolder), filepath.Join(dir, stateFolder)} {
		if err := os.Mkdir(folder, 0o711); err != nil {
			return fmt.Errorf("make root: %w", err)
		}
	}
	if err := unix.Mount("pe-scratch", at, "tmpfs", unix.MS_NODEV|unix.MS_NOSUID, "mode=711,"+scratchSize(scratch)); err != nil {
		return fmt.Errorf("mount scratch: %w", err)
	}
	for name, mode := range map[string]os.FileMode{"upper": 0o755, "work": 0o755, shmFolder: 0o1777} {
		folder := filepath.Join(at, name)
		if err := os.Mkdir(folder, 0o755); err != nil {
			return fmt.Errorf("make scratch: %w", err)
		}
		if err := unix.Chmod(folder, uint32(mode)); err != nil {
			return fmt.Errorf("make scratch: %w", err)
		}
		if err := os.Chown(folder, base, base); err != nil {
			return fmt.Errorf("make scratch: %w", err)
		}
	}
	lower := layers
	if users != nil {
		lower = nil
		for i, layer := range layers {
			to := filepath.Join(dir, lowerFolder+strconv.Itoa(i))
			if err := os.Mkdir(to, 0o711); err != nil {
				return fmt.Errorf("make root: %w", err)
			}
			if err := users.mapped(layer, to); err != nil {
				return err
			}
			lower = append(lower, to)
		}
	}
	return mountOverlay(filepath.Join(dir, rootFolder), lower, at)
}

func mountOverlay(at string, lower []string, scratch string) error {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return fmt.Errorf("open overlay: %w", err)
	}
	defer unix.Close(fs)
	names, done, err := shortNames(lower)
	if err != nil {
		return err
	}
	defer done()
	for _, option := range [][2]string{
		{"lowerdir", strings.Join(names, ":")},
		{"upperdir", filepath.Join(scratch, "upper")},
		{"workdir", filepath.Join(scratch, "work")},
	} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return fmt.Errorf("set overlay's %s: %w", option[0], err)
		}
	}
	// Nothing of a machine outlives it: syncs need not be real. Older kernels do without.
	_ = unix.FsconfigSetFlag(fs, "volatile")
	if err := unix.FsconfigCreate(fs); err != nil {
		return fmt.Errorf("create overlay: %w", err)
	}
	tree, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV|unix.MOUNT_ATTR_NOSUID)
	if err != nil {
		return fmt.Errorf("mount overlay: %w", err)
	}
	defer unix.Close(tree)
	if err := unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return fmt.Errorf("attach root: %w", err)
	}
	return nil
}

// maxLowerdir is the longest value that the kernel takes, in bytes.
const maxLowerdir = 255

// shortNames gives folders names that fit together into one option.
func shortNames(folders []string) (names []string, done func(), err error) {
	var open []*os.File
	done = func() {
		for _, f := range open {
			f.Close()
		}
	}
	for _, folder := range folders {
		f, err := os.OpenFile(folder, unix.O_PATH|unix.O_DIRECTORY, 0)
		if err != nil {
			done()
			return nil, nil, fmt.Errorf("open layer: %w", err)
		}
		open = append(open, f)
		names = append(names, "/proc/self/fd/"+strconv.Itoa(int(f.Fd())))
	}
	if length := len(strings.Join(names, ":")); length > maxLowerdir {
		done()
		return nil, nil, fmt.Errorf("%d layers are too many for an overlay", len(folders))
	}
	return names, done, nil
}

// scratchSize is tmpfs's options for a size in bytes. A file costs about a KiB, whatever it holds.
func scratchSize(size int64) string {
	return "size=" + strconv.FormatInt(size, 10) + ",nr_inodes=" + strconv.FormatInt(max(size/1024, 1<<16), 10)
}

// resizeScratch gives it the job's size in bytes.
func resizeScratch(dir string, size int64) error {
	err := unix.Mount("", filepath.Join(dir, scratchFolder), "", unix.MS_REMOUNT|unix.MS_NODEV|unix.MS_NOSUID, scratchSize(size))
	if err != nil {
		return fmt.Errorf("resize scratch: %w", err)
	}
	return nil
}

// scratchFull says whether its space or its inodes are used up.
func scratchFull(dir string) bool {
	var st unix.Statfs_t
	return unix.Statfs(filepath.Join(dir, scratchFolder), &st) == nil && (st.Bfree == 0 || st.Ffree == 0)
}
