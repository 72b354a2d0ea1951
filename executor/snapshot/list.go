package snapshot

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Info is a snapshot as an operator sees it.
type Info struct {
	ID       string
	Manifest Manifest
	// Bytes are what would be free without it. A root filesystem that the cache of images
	// has too doesn't count.
	Bytes int64
	Used  time.Time // when it was last acquired, or baked
	InUse bool
	// Err says why it can't be used.
	Err error
}

// List returns all snapshots, the least recently used first.
func (s *Store) List() ([]Info, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, readyDir))
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var all []Info
	for _, e := range entries {
		if info, ok := s.inspect(e.Name()); ok {
			all = append(all, info)
		}
	}
	slices.SortFunc(all, func(a, b Info) int { return cmp.Or(a.Used.Compare(b.Used), cmp.Compare(a.ID, b.ID)) })
	return all, nil
}

// inspect is false for a snapshot that is gone meanwhile.
func (s *Store) inspect(id string) (Info, bool) {
	dir := s.readyPath(id)
	info := Info{ID: id, Bytes: diskUsage(dir)}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return info, false
	}
	if err != nil {
		info.Err = err
		return info, true
	}
	defer root.Close()
	if use, err := root.Stat(useFile); err == nil {
		info.Used = use.ModTime()
	}
	info.Manifest, info.Err = readManifest(root, id)
	lock, err := tryLock(filepath.Join(dir, useFile), os.O_RDWR, unix.LOCK_EX)
	if err == nil {
		_ = lock.Close()
	}
	info.InUse = errors.Is(err, errLocked)
	return info, true
}

// blockSize is the unit of stat's count of blocks, in bytes, on every system.
const blockSize = 512

// diskUsage is how much of the disk only the files in dir take, in bytes.
func diskUsage(dir string) (bytes int64) {
	entries, _ := os.ReadDir(dir)
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			continue
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Nlink == 1 {
			bytes += s.Blocks * blockSize
		}
	}
	return bytes
}

// Remove removes a snapshot. It is ErrInUse while anybody uses it, in this process or another.
func (s *Store) Remove(id string) error {
	if !hexPattern.MatchString(id) || !exists(s.readyPath(id)) {
		return fmt.Errorf("remove snapshot %.80q: %w", id, ErrNotFound)
	}
	lock, err := tryLock(filepath.Join(s.readyPath(id), useFile), os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
	if errors.Is(err, errLocked) {
		err = ErrInUse
	}
	if err != nil {
		return fmt.Errorf("remove snapshot %s: %w", id, err)
	}
	defer lock.Close()
	// First away from its place at once, then piece by piece: nobody finds half of one.
	// Under a name of its own, since the same key may be baked meanwhile.
	doomed := fmt.Sprintf("%s-%d", s.bakePath(id), time.Now().UnixNano())
	if err := os.Rename(s.readyPath(id), doomed); err != nil {
		return fmt.Errorf("remove snapshot %s: %w", id, err)
	}
	if err := os.RemoveAll(doomed); err != nil {
		return fmt.Errorf("remove snapshot %s: %w", id, err)
	}
	return nil
}

// SetAside takes a snapshot that could not be restored out of use, for an operator to look
// at, and so that the next Get bakes another. Those who still use it may go on. One is kept
// for each key, the last, until GC. Done says whether this process used it until now.
func (s *Snapshot) SetAside(why error) (done bool, err error) {
	own, err := s.o.root.Stat(".")
	if err != nil {
		return false, fmt.Errorf("set aside snapshot %s: %w", s.o.manifest.ID, err)
	}
	// Another may have set it aside before, and a third have baked a new one.
	now, err := os.Stat(s.store.readyPath(s.o.manifest.ID))
	if err != nil || !os.SameFile(own, now) {
		return s.store.forget(s.o), nil
	}
	return true, s.store.setAside(s.o.manifest.ID, why)
}

// forget has the next Acquire look at the disk again, if it would return this one.
func (s *Store) forget(o *opened) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[o.manifest.ID] != o {
		return false
	}
	delete(s.open, o.manifest.ID)
	return true
}

func (s *Store) setAside(id string, why error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	to := s.asidePath(id)
	err := os.RemoveAll(to)
	if err == nil {
		err = os.Rename(s.readyPath(id), to)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil // another has done it
	}
	if err != nil {
		return fmt.Errorf("set aside snapshot %s: %w", id, err)
	}
	s.noteWhy(to, why)
	delete(s.open, id) // its users hold it by themselves
	s.log.Warn("snapshot set aside", "snapshot", id, "why", why)
	return nil
}
