package job

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// layer is a run's writable layer: a tmpfs of the scratch limit's size.
type layer struct{ path string }

// unsized is a layer's size in bytes until it is resized: what the sandbox makes ahead of a job takes a few pages.
const unsized = 1 << 20

// newLayer mounts a fresh one at path.
func newLayer(path string, ids idMap) (*layer, error) {
	l := &layer{path: path}
	if err := os.MkdirAll(path, 0o755); err != nil {
		return nil, fmt.Errorf("make layer: %w", err)
	}
	if err := unix.Mount("tmpfs", path, "tmpfs", unix.MS_NODEV, "mode=755,"+layerSize(unsized)); err != nil {
		return nil, fmt.Errorf("mount layer: %w", err)
	}
	for _, dir := range []string{l.upper(), l.work()} {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return nil, fmt.Errorf("make layer: %w", err)
		}
		if err := os.Chown(dir, ids.base, ids.base); err != nil {
			return nil, fmt.Errorf("make layer: %w", err)
		}
	}
	return l, nil
}

// layerSize is tmpfs's options for a size in bytes.
func layerSize(size int64) string {
	// A file costs about a KiB of kernel memory, whatever it holds.
	inodes := max(size/1024, 1<<16)
	return "size=" + strconv.FormatInt(size, 10) + ",nr_inodes=" + strconv.FormatInt(inodes, 10)
}

// resize gives the layer the job's size in bytes. It can't become smaller than what was made in it ahead.
func (l *layer) resize(size int64) error {
	if err := unix.Mount("", l.path, "", unix.MS_REMOUNT|unix.MS_NODEV, layerSize(max(size, unsized/16))); err != nil {
		return fmt.Errorf("resize layer: %w", err)
	}
	return nil
}

// upper is short, because the names of all frozen layers, and a path of the image, have to fit into 255 bytes.
func (l *layer) upper() string { return filepath.Join(l.path, "up") }
func (l *layer) work() string  { return filepath.Join(l.path, "work") }

// over makes a detached overlay mount of the layer over the lower folders, topmost first.
func (l *layer) over(lower []string) (int, error) {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return -1, fmt.Errorf("open overlay: %w", err)
	}
	defer unix.Close(fs)
	for _, option := range [][2]string{
		{"lowerdir", strings.Join(lower, ":")},
		{"upperdir", l.upper()},
		{"workdir", l.work()},
	} {
		if err := unix.FsconfigSetString(fs, option[0], option[1]); err != nil {
			return -1, fmt.Errorf("set overlay's %s: %w", option[0], err)
		}
	}
	// Nothing of a run outlives the machine: syncs need not be real.
	if err := unix.FsconfigSetFlag(fs, "volatile"); err != nil {
		return -1, fmt.Errorf("make overlay volatile: %w", err)
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return -1, fmt.Errorf("create overlay: %w", err)
	}
	root, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MOUNT_ATTR_NODEV)
	if err != nil {
		return -1, fmt.Errorf("mount overlay: %w", err)
	}
	return root, nil
}

// full says whether space or inodes are used up.
func (l *layer) full() bool {
	var st unix.Statfs_t
	return unix.Statfs(l.path, &st) == nil && (st.Bfree == 0 || st.Ffree == 0)
}

// used is the layer's content in bytes.
func (l *layer) used() (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(l.path, &st); err != nil {
		return 0, err
	}
	return int64(st.Blocks-st.Bfree) * st.Bsize, nil
}

// small says that the layer may stay while the next run waits to start: to remove it takes a millisecond.
func (l *layer) small() bool {
	used, err := l.used()
	return err == nil && used <= unsized
}

// remove takes the layer away; its memory is free when the last run over it is gone.
func (l *layer) remove() {
	unix.Unmount(l.path, unix.MNT_DETACH)
	os.Remove(l.path)
}
