package snapshot

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// Config of a store.
type Config struct {
	// Dir is the store's folder; it is made. Hard links are used if the cache of images
	// is on the same file system. Required.
	Dir string
	// Log default: discard.
	Log *slog.Logger
}

// Store is a folder of snapshots. Safe for concurrent use, by several processes too.
type Store struct {
	dir string
	log *slog.Logger

	mu   sync.Mutex
	open map[string]*opened // snapshots that this process uses, by id
}

// Folders of a store.
const (
	readyDir  = "ready"  // complete snapshots, by id
	bakingDir = "baking" // half ones, with a lock file each
	brokenDir = "broken" // those that were set aside
)

var (
	// ErrNotFound is what there is no snapshot for.
	ErrNotFound = errors.New("no such snapshot")
	// ErrInUse is a snapshot that can't be removed now.
	ErrInUse = errors.New("snapshot is in use")
	// ErrBroken is a snapshot that is not what its manifest says.
	ErrBroken = errors.New("snapshot is broken")
)

// Open opens a store, and removes what bakes left that did not come to their end.
func Open(c Config) (*Store, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	s := &Store{dir: c.Dir, log: c.Log, open: map[string]*opened{}}
	for _, name := range []string{readyDir, bakingDir, brokenDir} {
		// Nobody else may enter: files in there are open to all users while they are baked.
		if err := os.MkdirAll(filepath.Join(c.Dir, name), 0o700); err != nil {
			return nil, fmt.Errorf("open snapshots: %w", err)
		}
	}
	if err := os.Chmod(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	if err := s.sweep(); err != nil {
		return nil, fmt.Errorf("sweep snapshots: %w", err)
	}
	return s, nil
}

// sweep removes the bakes whose process has ended: nobody holds their locks.
func (s *Store) sweep() error {
	entries, err := os.ReadDir(filepath.Join(s.dir, bakingDir))
	if err != nil {
		return err
	}
	var errs []error
	for _, e := range entries {
		id := strings.TrimSuffix(e.Name(), ".lock")
		lock, err := tryLock(s.bakeLock(id), os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
		if errors.Is(err, errLocked) {
			continue
		}
		if err != nil {
			errs = append(errs, err)
			continue
		}
		errs = append(errs, s.endBake(id, lock))
	}
	return errors.Join(errs...)
}

// endBake removes a half bake, if there still is one, and gives up its lock.
func (s *Store) endBake(id string, lock *os.File) error {
	err := os.RemoveAll(s.bakePath(id))
	if err == nil {
		err = os.Remove(lock.Name())
	}
	return errors.Join(err, lock.Close())
}

func (s *Store) readyPath(id string) string { return filepath.Join(s.dir, readyDir, id) }
func (s *Store) bakePath(id string) string  { return filepath.Join(s.dir, bakingDir, id) }
func (s *Store) bakeLock(id string) string  { return s.bakePath(id) + ".lock" }

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, fs.ErrNotExist)
}
