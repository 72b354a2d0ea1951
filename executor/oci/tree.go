//go:build linux

package oci

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/erofs/go-erofs"
	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/imagesync"
)

// extracted returns the image's tree as a folder, for hosts whose kernel can't mount it. It is kept, and
// counted, beside what warm-ups wrote.
func (r *Runner) extracted(ctx context.Context, image *imagesync.Image) (*lease, error) {
	return r.layers.get(ctx, "tree-"+image.ErofsSHA256, func(ctx context.Context, dir string) error {
		if err := extract(ctx, image.ErofsPath, filepath.Join(dir, "0")); err != nil {
			return fmt.Errorf("extract image %s: %w", image.Reference, err)
		}
		return nil
	})
}

// extract writes the tree of an EROFS file to a folder that there is not yet. Device nodes and extended
// attributes are left out: in a contained machine neither has an effect.
func extract(ctx context.Context, file, to string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	image, err := erofs.Open(f)
	if err != nil {
		return err
	}
	if err := os.Mkdir(to, 0o755); err != nil {
		return err
	}
	// Whatever the names are, nothing is written outside of it.
	root, err := os.OpenRoot(to)
	if err != nil {
		return err
	}
	defer root.Close()
	e := &extractor{image: image, root: root, links: map[int64]string{}}
	err = fs.WalkDir(image, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		return e.entry(name, d)
	})
	if err != nil {
		return err
	}
	for _, done := range slices.Backward(e.folders) { // a folder's time changes with what is made in it
		if err := done(); err != nil {
			return err
		}
	}
	return nil
}

type extractor struct {
	image   fs.FS
	root    *os.Root
	links   map[int64]string // inode → first name
	folders []func() error
}

func (e *extractor) entry(name string, d fs.DirEntry) error {
	info, err := d.Info()
	if err != nil {
		return err
	}
	st, ok := info.Sys().(*erofs.Stat)
	if !ok {
		return fmt.Errorf("%s: no inode", name)
	}
	if first, again := e.links[st.Ino]; again && !info.IsDir() {
		return e.root.Link(first, name)
	}
	if st.Nlink > 1 && !info.IsDir() {
		e.links[st.Ino] = name
	}
	made, err := e.make(name, info.Mode())
	if err != nil || !made {
		return err
	}
	if err := e.root.Lchown(name, int(st.UID), int(st.GID)); err != nil {
		return err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		return nil // os.Root has no way to set the times of a link
	}
	if err := e.root.Chmod(name, st.Mode&(fs.ModePerm|fs.ModeSetuid|fs.ModeSetgid|fs.ModeSticky)); err != nil {
		return err
	}
	at := time.Unix(int64(st.Mtime), int64(st.MtimeNs))
	set := func() error { return e.root.Chtimes(name, at, at) }
	if info.IsDir() {
		e.folders = append(e.folders, set)
		return nil
	}
	return set()
}

// make makes an entry with its content, unless it is of a kind that is left out.
func (e *extractor) make(name string, mode fs.FileMode) (bool, error) {
	switch mode.Type() {
	case fs.ModeDir:
		if name == "." {
			return true, nil
		}
		return true, e.root.Mkdir(name, 0o700)
	case fs.ModeSymlink:
		target, err := fs.ReadLink(e.image, name)
		if err != nil {
			return false, err
		}
		return true, e.root.Symlink(target, name)
	case fs.ModeNamedPipe:
		dir, err := e.root.Open(filepath.Dir(name))
		if err != nil {
			return false, err
		}
		defer dir.Close()
		return true, unix.Mkfifoat(int(dir.Fd()), filepath.Base(name), 0o600)
	case 0:
		return true, e.file(name)
	}
	return false, nil
}

func (e *extractor) file(name string) error {
	in, err := e.image.Open(name)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := e.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	if closing := out.Close(); err == nil {
		err = closing
	}
	return err
}
