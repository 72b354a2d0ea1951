package producer

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// A LocalFile is an input that is still on this machine.
type LocalFile struct {
	// Name is the path in the job, with slashes.
	Name string
	// Executable files get mode 0755, others 0644: what else a mode says is about
	// this machine's users.
	Executable bool
	// Size in bytes.
	Size int64
	// Open returns the content, the same each time.
	Open func() (io.ReadCloser, error)
}

// Files lists what a path names: the file itself as name, or all files below a
// folder as name/…, in the order of their names. An empty name stands for the
// path's last part, or, of a folder, for nothing: its files are listed by their
// path within it.
//
// Links are followed where they end in a file of the same folder; others are
// an error, so that a folder from a stranger takes nothing along from outside.
func Files(name, local string) ([]LocalFile, error) {
	info, err := os.Stat(local)
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	if info.IsDir() {
		return folder(name, local)
	}
	if name == "" {
		name = filepath.Base(local)
	}
	if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("read input %s: is neither a file nor a folder", local)
	}
	return []LocalFile{localFile(name, info, func() (io.ReadCloser, error) { return os.Open(local) })}, nil
}

func localFile(name string, info fs.FileInfo, open func() (io.ReadCloser, error)) LocalFile {
	return LocalFile{Name: filepath.ToSlash(name), Executable: info.Mode()&0o111 != 0, Size: info.Size(), Open: open}
}

func folder(name, local string) ([]LocalFile, error) {
	root, err := os.OpenRoot(local)
	if err != nil {
		return nil, fmt.Errorf("read input: %w", err)
	}
	defer root.Close()
	var files []LocalFile
	err = fs.WalkDir(root.FS(), ".", func(p string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		// Stat within the root refuses links that leave it.
		info, err := root.Stat(p)
		if err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return fmt.Errorf("%s is neither a file nor a link to a file", p)
		}
		if len(files) == schemas.MaxFiles {
			return fmt.Errorf("holds more than %d files: pack them into one archive", schemas.MaxFiles)
		}
		open := func() (io.ReadCloser, error) { return openWithin(local, p) }
		files = append(files, localFile(path.Join(filepath.ToSlash(name), p), info, open))
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read input folder %s: %w", local, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("read input folder %s: holds no files", local)
	}
	return files, nil
}

// openWithin opens a file of a folder; the check that it is inside is made again.
func openWithin(folder, name string) (io.ReadCloser, error) {
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.Open(name)
}

// Spool keeps what r yields, so that it can be sent: in memory up to 1 MiB,
// else in a temporary file, which remove deletes.
func Spool(name string, r io.Reader) (f LocalFile, remove func(), err error) {
	const inMemory = 1 << 20
	head, err := io.ReadAll(io.LimitReader(r, inMemory))
	if err != nil {
		return f, nil, fmt.Errorf("read %s: %w", name, err)
	}
	f = LocalFile{Name: name, Size: int64(len(head))}
	f.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(head)), nil }
	if len(head) < inMemory {
		return f, func() {}, nil
	}
	tmp, err := os.CreateTemp("", "pe-input-*")
	if err != nil {
		return f, nil, fmt.Errorf("spool %s: %w", name, err)
	}
	remove = func() { _ = os.Remove(tmp.Name()) }
	n, err := io.Copy(tmp, io.MultiReader(bytes.NewReader(head), r))
	if err = errors.Join(err, tmp.Close()); err != nil {
		remove()
		return f, nil, fmt.Errorf("spool %s: %w", name, err)
	}
	f.Size = n
	f.Open = func() (io.ReadCloser, error) { return os.Open(tmp.Name()) }
	return f, remove, nil
}

// digest hashes the content, and notices a file that grew or shrank since it was listed.
func (f LocalFile) digest() (string, error) {
	r, err := f.Open()
	if err != nil {
		return "", fmt.Errorf("read input: %w", err)
	}
	defer r.Close()
	h := sha256.New()
	n, err := io.Copy(h, io.LimitReader(r, f.Size+1))
	if err != nil {
		return "", fmt.Errorf("read input %s: %w", f.Name, err)
	}
	if n != f.Size {
		return "", fmt.Errorf("read input %s: it changed while it was read", f.Name)
	}
	return schemas.Digest(h.Sum(nil)), nil
}

func (f LocalFile) mode() string {
	if f.Executable {
		return "0755"
	}
	return ""
}

// duplicate returns a name that two files have, or "".
func duplicate(files []LocalFile) string {
	names := make([]string, 0, len(files))
	for _, f := range files {
		names = append(names, f.Name)
	}
	slices.Sort(names)
	for i := 1; i < len(names); i++ {
		if names[i] == names[i-1] {
			return names[i]
		}
	}
	return ""
}
