//go:build linux

package oci

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/executor"
)

// layers are what warm-ups wrote, on disk: a folder for each key, in it one for each command (of an extracted image there is one), and a
// file that is locked by whoever uses it.
type layers struct {
	dir    string
	budget int64
	log    *slog.Logger

	mu     sync.Mutex
	making map[string]*sync.Mutex
	failed map[string]failure
}

// failure is a warm-up that can't succeed, as far as we know.
type failure struct {
	err   *executor.WarmupError
	until time.Time
}

const (
	// failureLasts is how long nobody tries again what an image can't do.
	failureLasts = time.Minute
	useFile      = "use"
	sizeFile     = "size"
	newFolder    = "new-" // and a name: is being made
)

// openLayers opens the folder, and removes what was left half-made.
func openLayers(dir string, budget int64, log *slog.Logger) (*layers, error) {
	if err := os.MkdirAll(dir, 0o711); err != nil {
		return nil, fmt.Errorf("open layers: %w", err)
	}
	half, err := filepath.Glob(filepath.Join(dir, newFolder+"*"))
	if err != nil {
		return nil, fmt.Errorf("open layers: %w", err)
	}
	for _, path := range half {
		if lock, err := lockFile(filepath.Join(path, useFile), unix.LOCK_EX); err == nil {
			err = os.RemoveAll(path)
			lock.Close()
			if err != nil {
				return nil, fmt.Errorf("open layers: %w", err)
			}
		}
	}
	return &layers{dir: dir, budget: budget, log: log, making: map[string]*sync.Mutex{}, failed: map[string]failure{}}, nil
}

// lease keeps layers from being removed. A nil one is of an image without a warm-up.
type lease struct {
	dir  string
	lock *os.File
}

// paths are the layers' folders, topmost first.
func (l *lease) paths() []string {
	if l == nil {
		return nil
	}
	var all []string
	for n := 0; ; n++ {
		path := filepath.Join(l.dir, strconv.Itoa(n))
		if _, err := os.Stat(path); err != nil {
			slices.Reverse(all)
			return all
		}
		all = append(all, path)
	}
}

func (l *lease) release() {
	if l != nil {
		l.lock.Close()
	}
}

// get returns the layers of a key, made by build if there are none: it gets a folder to put them into.
func (s *layers) get(ctx context.Context, key string, build func(ctx context.Context, dir string) error) (*lease, error) {
	s.mu.Lock()
	turn := s.making[key]
	if turn == nil {
		turn = &sync.Mutex{}
		s.making[key] = turn
	}
	s.mu.Unlock()
	turn.Lock()
	defer turn.Unlock()
	if l, err := s.acquire(key); !errors.Is(err, fs.ErrNotExist) {
		return l, err
	}
	if err := s.known(key); err != nil {
		return nil, err
	}
	if err := s.build(ctx, key, build); err != nil {
		s.remember(key, err)
		return nil, err
	}
	go s.collect()
	return s.acquire(key)
}

func (s *layers) acquire(key string) (*lease, error) {
	dir := filepath.Join(s.dir, key)
	lock, err := lockFile(filepath.Join(dir, useFile), unix.LOCK_SH)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	_ = os.Chtimes(lock.Name(), now, now)
	return &lease{dir, lock}, nil
}

// lockFile opens and locks a file without waiting. One that is being removed is not there.
func lockFile(path string, how int) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(int(f.Fd()), how|unix.LOCK_NB); err != nil {
		f.Close()
		if err == unix.EWOULDBLOCK {
			return nil, fs.ErrNotExist
		}
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return f, nil
}

// build makes the layers in a folder of their own and puts it into its place.
func (s *layers) build(ctx context.Context, key string, build func(context.Context, string) error) (err error) {
	temp, err := os.MkdirTemp(s.dir, newFolder)
	if err != nil {
		return fmt.Errorf("make layers: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(temp))
		}
	}()
	if err := os.Chmod(temp, 0o711); err != nil {
		return fmt.Errorf("make layers: %w", err)
	}
	if err := os.WriteFile(filepath.Join(temp, useFile), nil, 0o600); err != nil {
		return fmt.Errorf("make layers: %w", err)
	}
	lock, err := lockFile(filepath.Join(temp, useFile), unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer lock.Close()
	if err := build(ctx, temp); err != nil {
		return err
	}
	size, err := diskUsage(temp)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(temp, sizeFile), []byte(strconv.FormatInt(size, 10)), 0o600); err != nil {
		return fmt.Errorf("make layers: %w", err)
	}
	if err := os.Rename(temp, filepath.Join(s.dir, key)); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make layers: %w", err)
	}
	return nil
}

func (s *layers) known(key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f, ok := s.failed[key]; ok && time.Now().Before(f.until) {
		return f.err
	}
	delete(s.failed, key)
	return nil
}

func (s *layers) remember(key string, err error) {
	var w *executor.WarmupError
	if !errors.As(err, &w) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed[key] = failure{w, time.Now().Add(failureLasts)}
}
