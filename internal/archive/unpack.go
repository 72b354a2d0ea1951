package archive

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"
	"time"
)

// UnpackOptions say how entries appear on disk, and how much may appear.
type UnpackOptions struct {
	Limits
	// Owner gets everything that is made; nil leaves the caller's user. The
	// archive's own owners are never used.
	Owner *Owner
	// FolderTime is the modification time of folders that the archive does not
	// name itself. Default 1970, so that the same input gives the same tree.
	FolderTime time.Time
}

// Unpack makes the files of a hostile tar below root. It stops at the first
// entry that it refuses, with *RefusedError or *LimitError; what was made
// until then stays, and is the caller's to remove.
//
// Refused are: absolute names, "..", links that leave root, hard links to
// anything but a file that this archive made before, devices and FIFOs, and
// names that lead through something that is not a folder, symlinks within root
// included. Of several entries with one name the last wins, except that
// folders stay folders. Set-user-ID and the like are dropped, and folders stay
// open to their owner, so that what was unpacked can be removed again.
func Unpack(r io.Reader, root *os.Root, o UnpackOptions) (Stats, error) {
	o.Limits = o.Limits.WithDefaults()
	if o.FolderTime.IsZero() {
		o.FolderTime = time.Unix(0, 0)
	}
	u := &unpacker{
		in:   NewReader(r, o.Limits),
		root: root, o: o,
		folders: map[string]*folder{}, files: map[string]bool{},
		buf: make([]byte, bufferSize),
	}
	err := u.run()
	u.closeParent()
	if err != nil {
		return u.stats, fmt.Errorf("unpack: %w", err)
	}
	return u.stats, nil
}

type unpacker struct {
	in      *Reader
	root    *os.Root
	o       UnpackOptions
	stats   Stats
	folders map[string]*folder // known to be real folders
	order   []*folder          // those whose mode and time are to be set at the end
	files   map[string]bool    // regular files that this archive made
	buf     []byte
	// The folder of the last file stays open: archives are sorted, and walking
	// down to it anew costs os.Root two calls per segment.
	parentRoot *os.Root
	parentPath string
}

type folder struct {
	path  string
	mode  fs.FileMode
	mtime time.Time
	ours  bool // in order
}

func (u *unpacker) run() error {
	for {
		h, err := u.in.Next()
		if errors.Is(err, io.EOF) {
			return u.finishFolders()
		}
		if err != nil {
			return err
		}
		if err := u.entry(h); err != nil {
			return err
		}
	}
}

func (u *unpacker) entry(h *tar.Header) error {
	name, err := CleanName(h.Name, u.o.Limits)
	if err != nil {
		return err
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return &RefusedError{h.Name, "only a folder can be the root"}
		}
		return nil // the root is the caller's
	}
	if err := u.parent(path.Dir(name)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		err = u.file(name, h)
	case tar.TypeDir:
		err = u.folder(name, h)
	case tar.TypeSymlink:
		err = u.symlink(name, h)
	case tar.TypeLink:
		err = u.hardlink(name, h)
	default:
		return &RefusedError{name, fmt.Sprintf("entry of type %q", h.Typeflag)}
	}
	if err == nil {
		u.stats.count(h)
	}
	return err
}

// parent makes sure that name is a real folder, made by us or there before.
// os.Root alone would follow a symlink that stays inside, and so let the
// archive write through its own links.
func (u *unpacker) parent(name string) error {
	if name == "." || u.folders[name] != nil {
		return nil
	}
	if err := u.parent(path.Dir(name)); err != nil {
		return err
	}
	st, err := u.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		// They count too: deep names without their folders would be a bomb of folders.
		if err := u.in.Charge(name); err != nil {
			return err
		}
		return u.mkdir(name, 0o755, u.o.FolderTime)
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return &RefusedError{name, "is not a folder, but has entries below it"}
	}
	u.folders[name] = &folder{path: name}
	return nil
}

func (u *unpacker) mkdir(name string, mode fs.FileMode, mtime time.Time) error {
	if err := u.root.Mkdir(name, 0o700); err != nil {
		return err
	}
	f := &folder{path: name}
	u.folders[name] = f
	u.keep(f, mode, mtime)
	return nil
}

// keep notes what finishFolders is to set.
func (u *unpacker) keep(f *folder, mode fs.FileMode, mtime time.Time) {
	f.mode, f.mtime = mode|0o700, mtime
	if !f.ours {
		f.ours = true
		u.order = append(u.order, f)
	}
}

func (u *unpacker) folder(name string, h *tar.Header) error {
	mode, mtime := fs.FileMode(h.Mode)&fs.ModePerm, ClampTime(h.ModTime)
	if f := u.folders[name]; f != nil {
		u.keep(f, mode, mtime)
		return nil
	}
	st, err := u.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return u.mkdir(name, mode, mtime)
	}
	if err != nil {
		return err
	}
	if !st.IsDir() {
		return &RefusedError{name, "folder in place of something else"}
	}
	f := &folder{path: name}
	u.folders[name] = f
	u.keep(f, mode, mtime)
	return nil
}

// makeWay removes what has the name, unless it is a folder.
func (u *unpacker) makeWay(name string) error {
	st, err := u.root.Lstat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if st.IsDir() {
		return &RefusedError{name, "takes the place of a folder"}
	}
	delete(u.files, name)
	return u.root.Remove(name)
}

func (u *unpacker) file(name string, h *tar.Header) error {
	if h.Size < 0 || h.Size > u.o.MaxBytes-u.stats.Bytes {
		return &LimitError{What: LimitBytes, Max: u.o.MaxBytes, Path: name}
	}
	parent, err := u.openParent(path.Dir(name))
	if err != nil {
		return err
	}
	f, err := u.create(parent, name)
	if err != nil {
		return err
	}
	err = u.fill(f, h)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("%q: %w", name, err)
	}
	u.files[name] = true
	mtime := ClampTime(h.ModTime)
	return parent.Chtimes(path.Base(name), mtime, mtime)
}

// openParent gives a folder that parent has made sure of.
func (u *unpacker) openParent(name string) (*os.Root, error) {
	if name == "." {
		return u.root, nil
	}
	if u.parentRoot != nil && u.parentPath == name {
		return u.parentRoot, nil
	}
	u.closeParent()
	root, err := u.root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	u.parentRoot, u.parentPath = root, name
	return root, nil
}

func (u *unpacker) closeParent() {
	if u.parentRoot != nil {
		u.parentRoot.Close()
		u.parentRoot = nil
	}
}

// create makes the file new: O_EXCL follows no link and opens no device.
func (u *unpacker) create(parent *os.Root, name string) (*os.File, error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_EXCL
	f, err := parent.OpenFile(path.Base(name), flags, 0o600)
	if !errors.Is(err, fs.ErrExist) {
		return f, err
	}
	if err := u.makeWay(name); err != nil {
		return nil, err
	}
	return parent.OpenFile(path.Base(name), flags, 0o600)
}

func (u *unpacker) fill(f *os.File, h *tar.Header) error {
	n, err := io.CopyBuffer(struct{ io.Writer }{f}, u.in, u.buf)
	if err != nil {
		return err
	}
	if n != h.Size {
		return io.ErrUnexpectedEOF
	}
	if u.o.Owner != nil {
		if err := f.Chown(u.o.Owner.UID, u.o.Owner.GID); err != nil {
			return err
		}
	}
	return f.Chmod(fs.FileMode(h.Mode) & fs.ModePerm)
}

func (u *unpacker) symlink(name string, h *tar.Header) error {
	if err := CheckLink(name, h.Linkname, u.o.Limits); err != nil {
		return err
	}
	if err := u.makeWay(name); err != nil {
		return err
	}
	if err := u.root.Symlink(h.Linkname, name); err != nil {
		return err
	}
	return u.chown(name)
}

func (u *unpacker) hardlink(name string, h *tar.Header) error {
	target, err := CleanName(h.Linkname, u.o.Limits)
	if err != nil {
		return err
	}
	if !u.files[target] || target == name {
		return &RefusedError{name, "hard link to something else than an earlier file of the archive"}
	}
	if err := u.makeWay(name); err != nil {
		return err
	}
	if err := u.root.Link(target, name); err != nil {
		return err
	}
	u.files[name] = true
	return nil
}

func (u *unpacker) chown(name string) error {
	if u.o.Owner == nil {
		return nil
	}
	return u.root.Lchown(name, u.o.Owner.UID, u.o.Owner.GID)
}

// finishFolders runs last and from the deepest up: making an entry changes the
// time of its folder.
func (u *unpacker) finishFolders() error {
	slices.SortFunc(u.order, func(a, b *folder) int { return strings.Compare(b.path, a.path) })
	for _, f := range u.order {
		if err := u.chown(f.path); err != nil {
			return err
		}
		if err := u.root.Chmod(f.path, f.mode); err != nil {
			return err
		}
		if err := u.root.Chtimes(f.path, f.mtime, f.mtime); err != nil {
			return err
		}
	}
	return nil
}
