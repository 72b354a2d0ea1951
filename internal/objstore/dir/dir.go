// Package dir keeps objects in a folder and syncs them: the embedded default of
// `ped up`. It also signs URLs and serves them, as S3 would do by itself.
//
// A put costs two fsyncs: one of the file, one of its folder; one more for each
// folder that is new. Content type and digest stand in a trailer of the file
// (see trailer.go), so there is no second file to sync, and Stat is one open
// and one read.
//
// On disk: lock, sign.key, tmp/ (swept at open), and obj/ with one folder per
// key segment; an object's file is its last segment with "@" behind it, a byte
// that no key may contain, so "a" and "a/b" can both exist.
package dir

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
)

const (
	objDir = "obj"
	tmpDir = "tmp"
	suffix = "@"
)

// Config says where the store lives.
type Config struct {
	// Path is the store's own folder; it is made (0700) if missing. Required.
	Path string
	// BaseURL gives the prefix of signed URLs, for instance
	// "http://127.0.0.1:8080/v1/objects/"; asked at each signing, so the listener
	// may come later than the store. Without it signing fails.
	BaseURL func() string
	// Log is told what was swept at open. Default: discard.
	Log *slog.Logger
	// Now is the clock that signatures are made and judged by. Default time.Now.
	Now func() time.Time
}

// Store is an objstore.Store over a folder.
type Store struct {
	root    *os.Root
	lock    *os.File
	key     []byte
	baseURL func() string
	now     func() time.Time
	folders folders
	// names: puts hold it shared while they make folders and link; pruning
	// empty folders holds it alone, so that no folder vanishes in between.
	names sync.RWMutex
}

var _ objstore.Store = (*Store)(nil)

// ErrLocked: another process has the folder open.
var ErrLocked = errors.New("data folder is in use by another instance")

// Open locks the folder and sweeps what an interrupted put left in it. A folder
// that is already open gives ErrLocked.
func Open(c Config) (*Store, error) {
	s, err := open(c)
	if err != nil {
		return nil, fmt.Errorf("open object folder %s: %w", c.Path, err)
	}
	return s, nil
}

func open(c Config) (*Store, error) {
	if c.Path == "" {
		return nil, errors.New("no path given")
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if err := os.MkdirAll(c.Path, 0o700); err != nil {
		return nil, err
	}
	lock, err := lockFile(filepath.Join(c.Path, "lock"))
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(c.Path)
	if err != nil {
		lock.Close()
		return nil, err
	}
	s := &Store{root: root, lock: lock, baseURL: c.BaseURL, now: c.Now}
	if err := s.prepare(c.Log); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// prepare makes the fixed folders, empties tmp and reads the signing key.
func (s *Store) prepare(log *slog.Logger) error {
	swept, err := s.sweep()
	if err != nil {
		return err
	}
	if swept > 0 {
		log.Info("removed unfinished objects", "count", swept)
	}
	if err := s.root.MkdirAll(objDir, 0o700); err != nil {
		return err
	}
	if s.key, err = s.signingKey(); err != nil {
		return err
	}
	return s.syncFolder(".")
}

// sweep empties tmp: under the lock nobody else can be writing there.
func (s *Store) sweep() (int, error) {
	if err := s.root.MkdirAll(tmpDir, 0o700); err != nil {
		return 0, err
	}
	f, err := s.root.Open(tmpDir)
	if err != nil {
		return 0, err
	}
	names, err := f.Readdirnames(-1)
	f.Close()
	if err != nil {
		return 0, err
	}
	for _, name := range names {
		if err := s.root.RemoveAll(tmpDir + "/" + name); err != nil {
			return 0, err
		}
	}
	return len(names), nil
}

// Close gives the lock back. Calls still running may fail.
func (s *Store) Close() error {
	return errors.Join(s.root.Close(), s.lock.Close())
}

// Check reports whether the store can be written to now.
func (s *Store) Check(context.Context) error {
	t, err := s.createTemp()
	if err != nil {
		return fmt.Errorf("check object folder: %w", err)
	}
	t.discard()
	return nil
}

// Stat implements objstore.Store.
func (s *Store) Stat(_ context.Context, key string) (objstore.Info, error) {
	f, info, err := s.openObject(key)
	if err != nil {
		return objstore.Info{}, fmt.Errorf("stat object %s: %w", key, err)
	}
	f.Close()
	return info, nil
}

// Get implements objstore.Store.
func (s *Store) Get(_ context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	f, info, err := s.openObject(key)
	if err != nil {
		return nil, objstore.Info{}, fmt.Errorf("get object %s: %w", key, err)
	}
	n, err := r.Within(info.Size)
	if err != nil {
		f.Close()
		return nil, objstore.Info{}, fmt.Errorf("get object %s: %w", key, err)
	}
	return &section{Reader: io.NewSectionReader(f, r.Offset, n), f: f}, info, nil
}

type section struct {
	io.Reader
	f *os.File
}

func (s *section) Close() error { return s.f.Close() }

// Delete implements objstore.Store. Folders that it leaves empty go too.
func (s *Store) Delete(_ context.Context, key string) error {
	if err := objstore.ValidateKey(key); err != nil {
		return fmt.Errorf("delete object: %w", err)
	}
	err := s.root.Remove(fileOf(key))
	if err != nil && !absent(err) {
		return fmt.Errorf("delete object %s: %w", key, err)
	}
	if err == nil {
		s.prune(folderOf(key))
	}
	return nil
}

// prune removes the folder and its parents as far as they are empty. The
// deletions are not synced: one that a power cut undoes is deleted again.
func (s *Store) prune(folder string) {
	s.names.Lock()
	defer s.names.Unlock()
	for folder != objDir {
		if s.root.Remove(folder) != nil {
			return
		}
		s.folders.forget(folder)
		folder = filepath.Dir(folder)
	}
}

// openObject opens the file of key and reads its trailer.
func (s *Store) openObject(key string) (*os.File, objstore.Info, error) {
	if err := objstore.ValidateKey(key); err != nil {
		return nil, objstore.Info{}, err
	}
	f, err := s.root.Open(fileOf(key))
	if absent(err) {
		return nil, objstore.Info{}, objstore.ErrNotFound
	}
	if err != nil {
		return nil, objstore.Info{}, err
	}
	info, err := readTrailer(f)
	if err != nil {
		f.Close()
		return nil, objstore.Info{}, err
	}
	info.Key = key
	return f, info, nil
}

// absent is true for a missing file, and for a key below a file that is no
// folder (which the suffix makes impossible, short of tampering).
func absent(err error) bool { return errors.Is(err, os.ErrNotExist) }

func fileOf(key string) string { return objDir + "/" + key + suffix }

func folderOf(key string) string {
	i := strings.LastIndexByte(key, '/')
	if i < 0 {
		return objDir
	}
	return objDir + "/" + key[:i]
}
