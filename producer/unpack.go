package producer

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Bounds of what is unpacked.
const (
	maxUnpackedEntries = 1_000_000
	maxLinkTarget      = 4096
)

// Unpacked counts what [Unpack] wrote.
type Unpacked struct {
	Files int
	Bytes int64
}

// UnpackOptions say what Unpack may do.
type UnpackOptions struct {
	// Keep refuses to replace files that exist. Default: they are replaced, but
	// never a folder by a file, and never anything through a link.
	Keep bool
	// MaxBytes bounds the content of all files. Default: no bound but the server's.
	MaxBytes int64
}

// Unpack writes a tar of outputs into a folder, which is made when the first
// entry needs it. Files, folders, symlinks that stay inside and hard links to
// files of the archive are written; anything else is an error: the gateway sends nothing else, so whoever does is
// not to be believed. Owners and special mode bits are dropped.
func Unpack(r io.Reader, dir string, opt UnpackOptions) (Unpacked, error) {
	u := unpacker{opt: opt, dir: dir, real: map[string]bool{".": true}, files: map[string]bool{}}
	defer u.close()
	archive := tar.NewReader(r)
	for entries := 0; ; entries++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return u.done, u.finish()
		}
		if err != nil {
			return u.done, fmt.Errorf("read outputs: %w", err)
		}
		if entries == maxUnpackedEntries {
			return u.done, fmt.Errorf("read outputs: more than %d entries", maxUnpackedEntries)
		}
		if err := u.entry(h, archive); err != nil {
			return u.done, fmt.Errorf("unpack output %s: %w", strconv.Quote(h.Name), err)
		}
	}
}

type unpacker struct {
	opt  UnpackOptions
	dir  string
	root *os.Root
	done Unpacked
	// folders get their modes last: a read-only one could not be filled.
	folders []*tar.Header
	temp    int
	// real are folders that are no links: below a link, a relative target would
	// not mean what its text says.
	real map[string]bool
	// files are those that this archive wrote: what a hard link may name.
	files map[string]bool
}

func (u *unpacker) close() {
	if u.root != nil {
		u.root.Close()
	}
}

func (u *unpacker) entry(h *tar.Header, content io.Reader) error {
	name := strings.TrimSuffix(h.Name, "/")
	if name == "." {
		return nil
	}
	// Not fs.ValidPath, which wants UTF-8: a program may name its outputs by any bytes.
	if path.Clean(name) != name || !filepath.IsLocal(filepath.FromSlash(name)) || strings.Contains(name, "\x00") {
		return errors.New("its path leaves the folder, or is not clean")
	}
	if err := u.open(); err != nil {
		return err
	}
	if err := u.makeFolder(path.Dir(name)); err != nil {
		return err
	}
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(name, h, content)
	case tar.TypeDir:
		u.folders = append(u.folders, h)
		return u.makeFolder(name)
	case tar.TypeSymlink:
		return u.link(name, h.Linkname)
	case tar.TypeLink:
		return u.hardLink(name, h.Linkname)
	}
	return fmt.Errorf("it is neither file, folder nor link (type %q)", h.Typeflag)
}

func (u *unpacker) open() error {
	if u.root != nil {
		return nil
	}
	if err := os.MkdirAll(u.dir, 0o777); err != nil {
		return err
	}
	root, err := os.OpenRoot(u.dir)
	u.root = root
	return err
}

// makeFolder makes a folder and those above it, and refuses links among them.
func (u *unpacker) makeFolder(name string) error {
	if u.real[name] {
		return nil
	}
	if err := u.makeFolder(path.Dir(name)); err != nil {
		return err
	}
	err := u.root.Mkdir(filepath.FromSlash(name), 0o777)
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := u.root.Lstat(filepath.FromSlash(name))
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("%s is in the way: it is no folder", strconv.Quote(name))
	}
	u.real[name] = true
	return nil
}

// file writes beside its place and renames, so that what is there is whole, and a link there is replaced, not followed.
func (u *unpacker) file(name string, h *tar.Header, content io.Reader) error {
	if u.opt.MaxBytes > 0 && h.Size > u.opt.MaxBytes-u.done.Bytes {
		return fmt.Errorf("all outputs together have more than %d bytes", u.opt.MaxBytes)
	}
	if err := u.free(name); err != nil {
		return err
	}
	tmp := u.tempName(name)
	f, err := u.root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL, h.FileInfo().Mode().Perm())
	if err != nil {
		return err
	}
	n, err := io.Copy(f, content)
	if err = errors.Join(err, f.Close()); err == nil {
		err = u.root.Rename(tmp, filepath.FromSlash(name))
	}
	if err != nil {
		return errors.Join(err, u.root.Remove(tmp))
	}
	u.done.Files++
	u.done.Bytes += n
	u.files[name] = true
	// The time is the job's own; a file system that cannot hold it does no harm.
	_ = u.root.Chtimes(filepath.FromSlash(name), h.ModTime, h.ModTime)
	return nil
}

func (u *unpacker) link(name, target string) error {
	if !staysInside(name, target) {
		return fmt.Errorf("it links to %s, outside of the folder", strconv.Quote(target))
	}
	return u.place(name, func(tmp string) error { return u.root.Symlink(filepath.FromSlash(target), tmp) })
}

// hardLink gives a file of this archive a second name. One that was there
// before, or came by another way, is nobody's to share.
func (u *unpacker) hardLink(name, target string) error {
	if !u.files[target] {
		return fmt.Errorf("it is another name of %s, which is no file of these outputs", strconv.Quote(target))
	}
	if name == target {
		return errors.New("it is another name of itself")
	}
	delete(u.files, name)
	return u.place(name, func(tmp string) error { return u.root.Link(filepath.FromSlash(target), tmp) })
}

// place puts what make makes under another name in its place at once.
func (u *unpacker) place(name string, make func(tmp string) error) error {
	if err := u.free(name); err != nil {
		return err
	}
	tmp := u.tempName(name)
	if err := make(tmp); err != nil {
		return err
	}
	if err := u.root.Rename(tmp, filepath.FromSlash(name)); err != nil {
		return errors.Join(err, u.root.Remove(tmp))
	}
	// Renaming onto another name of the same file does nothing, and leaves both.
	if err := u.root.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	u.done.Files++
	return nil
}

// staysInside judges a link by its text: ".." may only lead it, for behind a
// name that is itself a link it goes elsewhere than it says.
func staysInside(name, target string) bool {
	if target == "" || len(target) > maxLinkTarget || path.IsAbs(target) || strings.ContainsAny(target, "\x00\\:") {
		return false
	}
	rest := target
	for strings.HasPrefix(rest, "../") {
		rest = rest[len("../"):]
	}
	if rest != ".." && slices.Contains(strings.Split(rest, "/"), "..") {
		return false
	}
	return filepath.IsLocal(filepath.FromSlash(path.Join(path.Dir(name), target)))
}

// free checks that nothing is at name that must stay.
func (u *unpacker) free(name string) error {
	info, err := u.root.Lstat(filepath.FromSlash(name))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("a folder is in its place")
	case u.opt.Keep:
		return fs.ErrExist
	}
	return nil
}

func (u *unpacker) tempName(name string) string {
	u.temp++
	return filepath.Join(filepath.FromSlash(path.Dir(name)), fmt.Sprintf(".pe-%d-%d.tmp", os.Getpid(), u.temp))
}

// finish sets folders' modes, the innermost first.
func (u *unpacker) finish() error {
	for i := len(u.folders) - 1; i >= 0; i-- {
		name := filepath.FromSlash(strings.TrimSuffix(u.folders[i].Name, "/"))
		if err := u.root.Chmod(name, u.folders[i].FileInfo().Mode().Perm()|0o700); err != nil {
			return fmt.Errorf("unpack output folder %s: %w", strconv.Quote(name), err)
		}
	}
	return nil
}
