//go:build linux

package oci

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/executor/ocirun"
)

// What is extracted is what the kernel shows of the same file.
func TestExtract(t *testing.T) {
	if os.Geteuid() != 0 {
		missing(t, "mounting needs root")
	}
	roots, err := ocirun.NewRoots(folder(t))
	if err != nil {
		t.Fatal(err)
	}
	defer roots.Close()
	for _, name := range []string{"busybox", "python"} {
		img := image(t, name)
		root, err := roots.Mount(name, img.ErofsPath)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Release()
		to := filepath.Join(folder(t), "tree")
		if err := extract(t.Context(), img.ErofsPath, to); err != nil {
			t.Fatal(err)
		}
		compared := 0
		err = filepath.WalkDir(root.Path, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			rel, err := filepath.Rel(root.Path, path)
			if err != nil {
				return err
			}
			compared++
			same(t, path, filepath.Join(to, rel))
			return nil
		})
		if err != nil || compared < 100 {
			t.Errorf("%s: %d entries, %v", name, compared, err)
		}
	}
}

func same(t *testing.T, want, got string) {
	t.Helper()
	var a, b unix.Stat_t
	if err := unix.Lstat(want, &a); err != nil {
		t.Fatal(err)
	}
	kind := a.Mode & unix.S_IFMT
	if kind == unix.S_IFCHR || kind == unix.S_IFBLK {
		return
	}
	if err := unix.Lstat(got, &b); err != nil {
		t.Error(err)
		return
	}
	if a.Mode != b.Mode || a.Uid != b.Uid || a.Gid != b.Gid || kind != unix.S_IFDIR && (a.Size != b.Size || a.Nlink != b.Nlink) || kind != unix.S_IFLNK && a.Mtim != b.Mtim {
		t.Errorf("%s: %+v, want %+v", got, b, a)
	}
	switch kind {
	case unix.S_IFREG:
		x, err1 := os.ReadFile(want)
		y, err2 := os.ReadFile(got)
		if err1 != nil || err2 != nil || !bytes.Equal(x, y) {
			t.Errorf("%s: other content, %v, %v", got, err1, err2)
		}
	case unix.S_IFLNK:
		x, err1 := os.Readlink(want)
		y, err2 := os.Readlink(got)
		if err1 != nil || err2 != nil || x != y {
			t.Errorf("%s: leads to %q, want %q", got, y, x)
		}
	}
}
