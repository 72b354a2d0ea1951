package imagesync

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/imagesync/flatten"
)

// The folders of a cache.
const (
	imagesName    = "images"    // <digest>/{image.erofs,image.json}
	importsName   = "imports"   // one OCI layout
	platformsName = "platforms" // <digest of an index>-<architecture>: the image's digest
	locksName     = "locks"
	tempName      = "tmp"
)

// CacheConfig configures a Cache.
type CacheConfig struct {
	Sources
	// Dir holds the cache. It is made when absent. Several processes may share it.
	Dir string
	// MaxBytes bounds the EROFS files; those used longest ago go first, and those
	// in use stay. Default 20 GiB.
	MaxBytes int64
	// Limits cap what one image may cost.
	Limits flatten.Limits
	// Log takes what happens to images. Default: nowhere.
	Log *slog.Logger
}

// Cache builds and keeps images as EROFS files.
type Cache struct {
	config  CacheConfig
	sources *sources
	log     *slog.Logger

	mu sync.Mutex
	// builds are those under way in this process, by the image's digest.
	builds map[string]*progressCounter
}

// Open opens a cache and removes what a process that died has left half-made.
func Open(c CacheConfig) (*Cache, error) {
	if c.MaxBytes == 0 {
		c.MaxBytes = 20 << 30
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return nil, fmt.Errorf("open image cache %s: %w", c.Dir, err)
	}
	c.Dir, c.ImportsDir = dir, dir
	for _, sub := range []string{imagesName, platformsName, locksName, tempName} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return nil, fmt.Errorf("open image cache: %w", err)
		}
	}
	cache := &Cache{config: c, sources: newSources(c.Sources), log: c.Log, builds: map[string]*progressCounter{}}
	if err := cache.sweep(); err != nil {
		return nil, fmt.Errorf("open image cache %s: %w", dir, err)
	}
	return cache, nil
}

func (c *Cache) path(parts ...string) string {
	return filepath.Join(append([]string{c.config.Dir}, parts...)...)
}

// workDir makes a folder for something half-made, which lives as long as its
// maker: the maker holds a lock in it, and sweep removes folders whose lock is free.
func (c *Cache) workDir() (dir string, done func(), err error) {
	gate, err := c.lockFile("gate", unix.LOCK_SH)
	if err != nil {
		return "", nil, err
	}
	defer gate.Close()
	if dir, err = os.MkdirTemp(c.path(tempName), "work-"); err != nil {
		return "", nil, err
	}
	lock, err := os.Open(dir)
	if err == nil {
		err = flock(lock, unix.LOCK_EX)
	}
	if err != nil {
		return "", nil, errors.Join(err, os.RemoveAll(dir))
	}
	return dir, func() {
		os.RemoveAll(dir)
		lock.Close()
	}, nil
}

// sweep removes the folders of makers that died. The gate keeps it from seeing
// a folder between its making and its locking.
func (c *Cache) sweep() error {
	gate, err := c.lockFile("gate", unix.LOCK_EX)
	if err != nil {
		return err
	}
	defer gate.Close()
	entries, err := os.ReadDir(c.path(tempName))
	if err != nil {
		return err
	}
	for _, e := range entries {
		path := c.path(tempName, e.Name())
		lock, err := os.Open(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if flock(lock, unix.LOCK_EX|unix.LOCK_NB) == nil {
			c.log.Info("removed what an ended process left", "path", path)
			err = os.RemoveAll(path)
		}
		if err = errors.Join(err, lock.Close()); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cache) lockFile(name string, how int) (*os.File, error) {
	file, err := os.OpenFile(c.path(locksName, name), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	if err := flock(file, how); err != nil {
		file.Close()
		return nil, err
	}
	return file, nil
}
