//go:build linux

package oci

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// lockShared holds a folder of layers.
func lockShared(dir string) (*os.File, error) {
	return lockFile(filepath.Join(dir, useFile), unix.LOCK_SH)
}

// freeze copies an overlay's upper folder, but for /output, so that it can be a lower one: with its
// whiteouts and marks, and with owners counted from base, which is the machine's root on this host.
// Nothing in it is trusted: links are copied, never followed.
func freeze(upper, to string, base int) error {
	f := &freezer{from: upper, to: to, base: base, links: map[uint64]string{}}
	err := filepath.WalkDir(upper, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(upper, path)
		if err != nil {
			return err
		}
		if rel == "output" {
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		return f.copy(rel)
	})
	if err != nil {
		return fmt.Errorf("freeze layer: %w", err)
	}
	// A folder's time changes with what is made in it.
	for _, done := range slices.Backward(f.folders) {
		if err := done(); err != nil {
			return fmt.Errorf("freeze layer: %w", err)
		}
	}
	return nil
}

// freezer copies one tree. Nobody else can reach either: both lie in folders of ours, and no process
// of the machine is left.
type freezer struct {
	from, to string
	base     int
	links    map[uint64]string // inode → first name
	folders  []func() error
}

func (f *freezer) copy(rel string) error {
	from, to := filepath.Join(f.from, rel), filepath.Join(f.to, rel)
	var st unix.Stat_t
	if err := unix.Lstat(from, &st); err != nil {
		return fmt.Errorf("look at %s: %w", rel, err)
	}
	if first, ok := f.links[st.Ino]; ok && st.Mode&unix.S_IFMT != unix.S_IFDIR {
		return os.Link(first, to)
	}
	if st.Nlink > 1 {
		f.links[st.Ino] = to
	}
	if err := f.make(from, to, st); err != nil {
		return fmt.Errorf("copy %s: %w", rel, err)
	}
	if st.Mode&unix.S_IFMT == unix.S_IFSOCK {
		return nil
	}
	if err := f.describe(from, to, st); err != nil {
		return fmt.Errorf("copy %s: %w", rel, err)
	}
	return nil
}

// make makes an entry with its content.
func (f *freezer) make(from, to string, st unix.Stat_t) error {
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFDIR:
		return os.Mkdir(to, 0o700)
	case unix.S_IFLNK:
		target, err := os.Readlink(from)
		if err != nil {
			return err
		}
		return os.Symlink(target, to)
	case unix.S_IFREG:
		return copyFile(from, to)
	case unix.S_IFCHR: // a whiteout: a job can't make any other
		return unix.Mknod(to, unix.S_IFCHR, 0)
	case unix.S_IFIFO:
		return unix.Mknod(to, unix.S_IFIFO|0o600, 0)
	}
	return nil
}

func copyFile(from, to string) error {
	in, err := os.OpenFile(from, os.O_RDONLY|unix.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closing := out.Close(); err == nil {
		err = closing
	}
	return err
}

// describe gives the copy owners, mode, marks and times.
func (f *freezer) describe(from, to string, st unix.Stat_t) error {
	if err := unix.Lchown(to, max(0, int(st.Uid)-f.base), max(0, int(st.Gid)-f.base)); err != nil {
		return err
	}
	kind := st.Mode & unix.S_IFMT
	if kind != unix.S_IFLNK && kind != unix.S_IFCHR {
		if err := unix.Chmod(to, st.Mode&0o7777); err != nil {
			return err
		}
	}
	if kind != unix.S_IFCHR {
		if err := copyMarks(from, to); err != nil {
			return err
		}
	}
	set := func() error {
		return unix.UtimesNanoAt(unix.AT_FDCWD, to, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
	}
	if kind == unix.S_IFDIR {
		f.folders = append(f.folders, set)
		return nil
	}
	return set()
}

// copyMarks copies extended attributes: the overlay's own that mean something to a lower folder, and the job's.
func copyMarks(from, to string) error {
	names := make([]byte, 64<<10)
	n, err := unix.Llistxattr(from, names)
	if err == unix.ENOTSUP || n == 0 {
		return nil
	}
	if err != nil {
		return err
	}
	for name := range bytes.SplitSeq(bytes.TrimRight(names[:n], "\x00"), []byte{0}) {
		mark := string(name)
		if strings.HasPrefix(mark, "trusted.overlay.") && mark != "trusted.overlay.opaque" && mark != "trusted.overlay.redirect" {
			continue
		}
		value := make([]byte, 64<<10)
		n, err := unix.Lgetxattr(from, mark, value)
		if err != nil {
			return err
		}
		if err := unix.Lsetxattr(to, mark, value[:n], 0); err != nil && err != unix.ENOTSUP {
			return err
		}
	}
	return nil
}
