package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"golang.org/x/sys/unix"
)

// Snapshot is a baked machine in use: it is not removed until it is released, nor is its
// root filesystem.
type Snapshot struct {
	o       *opened
	store   *Store
	release sync.Once
}

// opened is what all users of a snapshot in this process share: a template in memory above all.
type opened struct {
	manifest Manifest
	root     *os.Root // not a path: the snapshot may be set aside meanwhile
	rootfs   *os.File
	lock     *os.File
	users    int // under Store.mu

	// mu is held for reading while a machine is restored from the template, so that
	// nobody replaces it meanwhile.
	mu       sync.RWMutex
	template *qemu.Template
}

// maxGrown is by how many bytes a template may grow before it is replaced.
const maxGrown = 32 << 20

// Acquire returns the snapshot of that id. It is ErrNotFound, or ErrBroken if there is one
// that can't be used. The caller releases it.
func (s *Store) Acquire(ctx context.Context, id string) (*Snapshot, error) {
	snap, err := s.acquire(ctx, id)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if err := os.Chtimes(snap.o.lock.Name(), now, now); err != nil {
		s.log.Debug("time of use not noted", "snapshot", id, "err", err)
	}
	return snap, nil
}

// acquire is Acquire that leaves the time of the last use as it is.
func (s *Store) acquire(ctx context.Context, id string) (*Snapshot, error) {
	if !hexPattern.MatchString(id) {
		return nil, fmt.Errorf("use snapshot %.80q: %w", id, ErrNotFound)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	o := s.open[id]
	if o == nil {
		var err error
		if o, err = s.openReady(ctx, id); err != nil {
			return nil, fmt.Errorf("use snapshot %s: %w", id, err)
		}
		s.open[id] = o
	}
	o.users++
	return &Snapshot{o: o, store: s}, nil
}

func (s *Store) openReady(ctx context.Context, id string) (_ *opened, err error) {
	dir := s.readyPath(id)
	o := &opened{}
	defer func() {
		if err != nil {
			_ = o.close()
		}
	}()
	// A folder that is being removed or listed is locked against us for a moment.
	o.lock, err = waitLock(ctx, filepath.Join(dir, useFile), os.O_RDWR, unix.LOCK_SH)
	if errors.Is(err, fs.ErrNotExist) && !exists(dir) {
		return nil, ErrNotFound
	}
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	if err == nil {
		o.root, err = os.OpenRoot(dir)
	}
	if err == nil {
		o.manifest, err = readManifest(o.root, id)
	}
	if err == nil {
		o.rootfs, err = o.root.Open(rootfsFile)
	}
	switch {
	case isShortage(err):
		return nil, err
	case err != nil:
		return nil, errors.Join(ErrBroken, err)
	}
	return o, nil
}

// isShortage says that the host lacks something just now: no snapshot is broken by that.
func isShortage(err error) bool {
	for _, lack := range []error{unix.EMFILE, unix.ENFILE, unix.ENOMEM} {
		if errors.Is(err, lack) {
			return true
		}
	}
	return false
}

func (o *opened) close() error {
	var errs []error
	if o.template != nil {
		errs = append(errs, o.template.Close())
	}
	if o.root != nil {
		errs = append(errs, o.root.Close())
	}
	for _, f := range []*os.File{o.rootfs, o.lock} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

// Release gives the snapshot back, after the last machine that was restored from it has
// ended. It may be called again.
func (s *Snapshot) Release() {
	s.release.Do(func() {
		s.store.mu.Lock()
		defer s.store.mu.Unlock()
		if s.o.users--; s.o.users > 0 {
			return
		}
		id := s.o.manifest.ID
		if s.store.open[id] == s.o { // not after SetAside
			delete(s.store.open, id)
		}
		if err := s.o.close(); err != nil {
			s.store.log.Warn("snapshot not closed", "snapshot", id, "err", err)
		}
	})
}

// Manifest describes the snapshot.
func (s *Snapshot) Manifest() Manifest { return s.o.manifest }

// Bytes is how much of the disk would be free without the snapshot.
func (s *Snapshot) Bytes() int64 { return diskUsage(s.o.root.Name()) }

// Rootfs is the image's root filesystem, for the disk that the machine was baked with. The
// store closes it.
func (s *Snapshot) Rootfs() *os.File { return s.o.rootfs }

// Restore restores a machine. c describes it as it was baked, with disks of its own, of
// which the one with the image is Rootfs. The first call reads the snapshot into memory,
// of which all users in this process share one copy. An error that isn't ctx's is a reason
// to SetAside the snapshot.
func (s *Snapshot) Restore(ctx context.Context, c qemu.Config) (*qemu.Machine, error) {
	t, done, err := s.o.use()
	if err != nil {
		return nil, fmt.Errorf("load snapshot %s: %w", s.o.manifest.ID, err)
	}
	defer done()
	return qemu.Restore(ctx, c, t)
}

// Resident is how much of the host's memory the snapshot takes at this moment, in bytes, besides
// its machines' own.
func (s *Snapshot) Resident() int64 {
	s.o.mu.RLock()
	defer s.o.mu.RUnlock()
	if s.o.template == nil {
		return 0
	}
	return s.o.template.Resident() + s.o.template.Grown()
}

// use returns the template, which stays until done is called.
func (o *opened) use() (_ *qemu.Template, done func(), err error) {
	for {
		o.mu.RLock()
		if o.template != nil && o.template.Grown() <= maxGrown {
			return o.template, o.mu.RUnlock, nil
		}
		o.mu.RUnlock()
		if err := o.renew(); err != nil {
			return nil, nil, err
		}
	}
}

// renew loads the template, if there is none or it has grown. Machines that run have descriptors of
// the old one by themselves.
func (o *opened) renew() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.template != nil && o.template.Grown() <= maxGrown {
		return nil // another has done it
	}
	t, err := o.load()
	if err != nil {
		return err
	}
	if o.template != nil {
		_ = o.template.Close()
	}
	o.template = t
	return nil
}

func (o *opened) load() (*qemu.Template, error) {
	// The memory's digest would cost as much again as the loading: that is Verify's.
	if err := checkState(o.root, o.manifest.State); err != nil {
		return nil, errors.Join(ErrBroken, err)
	}
	ram, err := o.root.Open(ramFile)
	if err != nil {
		return nil, err
	}
	defer ram.Close()
	state, err := o.root.Open(stateFile)
	if err != nil {
		return nil, err
	}
	defer state.Close()
	return qemu.Load(ram, state)
}
