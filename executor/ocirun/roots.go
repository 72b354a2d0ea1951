//go:build linux

package ocirun

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// Roots mounts images, each once for all machines: so they share what the host has cached of it.
type Roots struct {
	dir string

	mu     sync.Mutex
	mounts map[string]*rootMount
	closed bool
}

type rootMount struct {
	path string
	uses int
	idle *time.Timer
}

// rootIdle is how long an image stays mounted that nobody uses: the next job of it may come soon.
const rootIdle = time.Minute

// NewRoots mounts in a folder of its own in runDir, where a sweep finds what was left.
func NewRoots(runDir string) (*Roots, error) {
	if !plain(runDir) {
		return nil, fmt.Errorf("mount images in %s: the name must not have any of these: : , \\", runDir)
	}
	dir, err := os.MkdirTemp(runDir, namePrefix+"images-")
	if err != nil {
		return nil, fmt.Errorf("mount images: %w", err)
	}
	if err = os.Chmod(dir, 0o711); err == nil {
		err = writeRecord(dir, filepath.Base(dir), nil)
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return &Roots{dir: dir, mounts: map[string]*rootMount{}}, nil
}

// Dir is its folder, which goes with Close or a sweep: for what else must live as long.
func (r *Roots) Dir() string { return r.dir }

// Root is an image that is mounted, until Release.
type Root struct {
	// Path is its folder.
	Path    string
	release func()
}

// Release lets it be unmounted.
func (r *Root) Release() { r.release() }

// Mount mounts an EROFS file. The key tells contents apart: [a-z0-9-].
func (r *Roots) Mount(key, file string) (*Root, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return nil, errors.New("mount image: closed")
	}
	m := r.mounts[key]
	if m == nil {
		m = &rootMount{path: filepath.Join(r.dir, key)}
		if err := os.MkdirAll(m.path, 0o755); err != nil {
			return nil, fmt.Errorf("mount image: %w", err)
		}
		if err := mountErofs(file, m.path); err != nil {
			return nil, errors.Join(err, os.Remove(m.path))
		}
		r.mounts[key] = m
	}
	if m.idle != nil {
		m.idle.Stop()
		m.idle = nil
	}
	m.uses++
	return &Root{Path: m.path, release: sync.OnceFunc(func() { r.release(key) })}, nil
}

func (r *Roots) release(key string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.mounts[key]
	m.uses--
	if m.uses > 0 || r.closed {
		return
	}
	var idle *time.Timer
	idle = time.AfterFunc(rootIdle, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if m.idle == idle && r.mounts[key] == m {
			r.unmount(key)
		}
	})
	m.idle = idle
}

func (r *Roots) unmount(key string) {
	m := r.mounts[key]
	delete(r.mounts, key)
	_ = unix.Unmount(m.path, unix.MNT_DETACH)
	_ = os.Remove(m.path)
}

// Close unmounts all images. Those in use are in use by machines' own mounts, too, and go with them.
func (r *Roots) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = true
	return takeAway(r.dir, nil)
}

// mountErofs mounts a file: directly where the kernel can (Linux 6.12), else by a loop device.
func mountErofs(file, at string) error {
	err := unix.Mount(file, at, "erofs", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, "")
	if err == unix.ENOTBLK {
		err = mountLoop(file, at)
	}
	if err != nil {
		return fmt.Errorf("mount image %s: %w%s", filepath.Base(filepath.Dir(file)), err, erofsAdvice(err))
	}
	return nil
}

func erofsAdvice(err error) string {
	if errors.Is(err, unix.ENODEV) {
		return " (the host's kernel has no EROFS: modprobe erofs)"
	}
	if errors.Is(err, unix.EPERM) {
		return " (only root may mount images: run the executor as root)"
	}
	return ""
}

// mountLoop mounts by a loop device that goes with the mount.
func mountLoop(file, at string) error {
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer control.Close()
	backing, err := os.Open(file)
	if err != nil {
		return err
	}
	defer backing.Close()
	for range 16 { // another process may take the device first
		n, err := unix.IoctlRetInt(int(control.Fd()), unix.LOOP_CTL_GET_FREE)
		if err != nil {
			return err
		}
		loop, err := os.Open(fmt.Sprintf("/dev/loop%d", n))
		if err != nil {
			return err
		}
		config := unix.LoopConfig{Fd: uint32(backing.Fd())}
		config.Info.Flags = unix.LO_FLAGS_READ_ONLY | unix.LO_FLAGS_AUTOCLEAR
		err = unix.IoctlLoopConfigure(int(loop.Fd()), &config)
		if err == nil {
			err = unix.Mount(loop.Name(), at, "erofs", unix.MS_RDONLY|unix.MS_NODEV|unix.MS_NOSUID, "")
		}
		loop.Close()
		if err != unix.EBUSY {
			return err
		}
	}
	return unix.EBUSY
}

// unmountBelow takes away all mounts below dir, the last first, and says if any stayed.
func unmountBelow(dir string) error {
	below, err := mountsBelow(dir)
	if err != nil {
		return err
	}
	for i := len(below) - 1; i >= 0; i-- {
		if err := unix.Unmount(below[i], unix.MNT_DETACH|unix.UMOUNT_NOFOLLOW); err != nil && err != unix.EINVAL && err != unix.ENOENT {
			return fmt.Errorf("unmount %s: %w", below[i], err)
		}
	}
	if below, err = mountsBelow(dir); err == nil && len(below) > 0 {
		err = fmt.Errorf("unmount %s: it is still there", below[0])
	}
	return err
}

// mountsBelow lists what is mounted at dir and below, in the order of mounting.
func mountsBelow(dir string) ([]string, error) {
	b, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("list mounts: %w", err)
	}
	var found []string
	for line := range strings.Lines(string(b)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		if at := f[4]; at == dir || strings.HasPrefix(at, dir+"/") {
			found = append(found, at)
		}
	}
	return found, nil
}
