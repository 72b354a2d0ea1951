package snapshot

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/program-explorer/pe/executor/qemu/sparse"
)

// How is the way in which a file came to have another's content.
type How string

// The ways, from cheapest to dearest.
const (
	Linked    How = "hard link"   // the same file: nobody may write to it
	Reflinked How = "reflink"     // shares its blocks until one of the two is written to
	Copied    How = "sparse copy" // takes its own blocks for all but zeros
)

// Link makes path, which does not exist, a read-only stand-in for the file old: a hard link, or a
// copy where they are on different file systems.
func Link(path, old string) (How, error) {
	if os.Link(old, path) == nil {
		return Linked, nil
	}
	return Copy(path, old)
}

// Copy makes path, which does not exist, a file of its own with old's content, for the cheapest way
// that the file system has.
func Copy(path, old string) (How, error) {
	from, err := os.Open(old)
	if err != nil {
		return "", err
	}
	defer from.Close()
	to, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", err
	}
	how, err := copyFile(to, from)
	if err = errors.Join(err, to.Close()); err != nil {
		_ = os.Remove(path)
		return "", fmt.Errorf("copy %s: %w", old, err)
	}
	return how, nil
}

// CopyRAM gives a machine a memory of its own (qemu.Config.RAM) that it may change: to, an empty
// file, becomes a copy of the snapshot's.
func (s *Snapshot) CopyRAM(to *os.File) (How, error) {
	from, err := s.o.root.Open(ramFile)
	if err != nil {
		return "", fmt.Errorf("copy memory of snapshot %s: %w", s.o.manifest.ID, err)
	}
	defer from.Close()
	how, err := copyFile(to, from)
	if err != nil {
		return "", fmt.Errorf("copy memory of snapshot %s: %w", s.o.manifest.ID, err)
	}
	return how, nil
}

func copyFile(to, from *os.File) (How, error) {
	if reflink(to, from) == nil {
		return Reflinked, nil
	}
	info, err := from.Stat()
	if err != nil {
		return "", err
	}
	_, err = sparse.Copy(to, from, info.Size())
	return Copied, err
}

// Clone copies the snapshot's files into dir, a new folder, for whom to use as they like. It
// says how each came there.
func (s *Snapshot) Clone(dir string) (_ map[string]How, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("clone snapshot %s: %w", s.o.manifest.ID, err)
	}
	defer func() {
		if err != nil {
			_ = os.RemoveAll(dir)
		}
	}()
	ways := map[string]How{}
	for name, copier := range map[string]func(string, string) (How, error){
		ramFile: Copy, stateFile: Copy, rootfsFile: Link, manifestFile: Copy,
	} {
		if ways[name], err = copier(filepath.Join(dir, name), filepath.Join(s.o.root.Name(), name)); err != nil {
			return nil, fmt.Errorf("clone snapshot %s: %w", s.o.manifest.ID, err)
		}
	}
	return ways, nil
}
