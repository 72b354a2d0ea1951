package snapshot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/program-explorer/pe/executor/qemu/sparse"
	"golang.org/x/sys/unix"
)

// Draft is what a bake fills. Its files may be written by any user who is given them, and
// nobody else can reach them.
type Draft struct {
	// RAM is for qemu.Config.RAM, and State for Machine.Bake.
	RAM, State *os.File
	// Rootfs is the path of the pinned root filesystem, the one file that the machine's
	// disk may be.
	Rootfs string
}

// Bake boots a machine, brings it to where all its copies shall begin, saves it into the
// draft, and closes it: when it returns nobody may write to the draft any more. The note,
// JSON or nothing, is kept in the manifest for who talks to the copies.
type Bake func(context.Context, Draft) (note json.RawMessage, err error)

// Get returns the snapshot of key, and makes it first if there is none: rootfs is the path of
// the image's EROFS file. Who wants the same snapshot meanwhile, in whichever
// process, waits and gets that one. A broken one is set aside. Baked says whether this call
// has baked. The caller releases the snapshot.
func (s *Store) Get(ctx context.Context, key Key, rootfs string, bake Bake) (_ *Snapshot, baked bool, err error) {
	return s.get(ctx, key, func(m *Manifest, dir string) error { return m.pin(dir, rootfs) }, bake)
}

// Derive is Get for a machine that was restored from another snapshot, from, and went on: it
// has the same root filesystem, which was looked at when that one was baked.
func (s *Store) Derive(ctx context.Context, key Key, from *Snapshot, bake Bake) (_ *Snapshot, baked bool, err error) {
	if key.Rootfs != from.o.manifest.Key.Rootfs {
		return nil, false, fmt.Errorf("derive from snapshot %s: it has another root filesystem", from.o.manifest.ID)
	}
	return s.get(ctx, key, func(m *Manifest, dir string) (err error) {
		if m.Pin, err = Link(filepath.Join(dir, rootfsFile), from.o.rootfs.Name()); err != nil {
			return fmt.Errorf("pin root filesystem: %w", err)
		}
		return nil
	}, bake)
}

// get is Get with a way to pin the root filesystem.
func (s *Store) get(ctx context.Context, key Key, pin func(m *Manifest, dir string) error, bake Bake) (snap *Snapshot, baked bool, err error) {
	id, err := key.ID()
	if err != nil {
		return nil, false, err
	}
	snap, err = s.Acquire(ctx, id)
	if err == nil || !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrBroken) {
		return snap, false, err
	}
	lock, err := waitLock(ctx, s.bakeLock(id), os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
	if err != nil {
		return nil, false, fmt.Errorf("bake snapshot %s: %w", id, err)
	}
	defer func() {
		// With an error, nobody releases the snapshot that we may have.
		if ending := s.endBake(id, lock); ending != nil {
			s.log.Warn("bake left something behind", "snapshot", id, "err", ending)
		}
	}()
	// Whoever held the lock before may have baked it, and may have set aside the broken one.
	if snap, err = s.usable(ctx, id); snap != nil || err != nil {
		return snap, false, err
	}
	if err := s.bake(ctx, id, key, pin, bake); err != nil {
		return nil, false, fmt.Errorf("bake snapshot %s: %w", id, err)
	}
	snap, err = s.Acquire(ctx, id)
	return snap, true, err
}

// usable acquires a snapshot if there is a good one, and sets a bad one aside. Only who holds
// the lock on bakes may call it: another's new one would be set aside for the old one's fault.
func (s *Store) usable(ctx context.Context, id string) (*Snapshot, error) {
	snap, err := s.Acquire(ctx, id)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, nil
	case errors.Is(err, ErrBroken):
		return nil, s.setAside(id, err)
	}
	return snap, err
}

// bake makes a snapshot beside its place, and moves it there when it is complete and on
// the disk. What is left of a bake that fails is removed by endBake.
func (s *Store) bake(ctx context.Context, id string, key Key, pin func(m *Manifest, dir string) error, bake Bake) error {
	dir, start := s.bakePath(id), time.Now()
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	m := Manifest{ID: id, Key: key}
	if err := pin(&m, dir); err != nil {
		return err
	}
	if err := m.fill(ctx, dir, bake); err != nil {
		return err
	}
	if err := m.digest(dir); err != nil {
		return err
	}
	m.BakedUS, m.BakeMS = time.Now().UnixMicro(), time.Since(start).Milliseconds()
	if err := m.write(dir); err != nil {
		return err
	}
	if err := publish(dir, s.readyPath(id)); err != nil {
		return err
	}
	s.log.Info("snapshot baked", "snapshot", id, "took", time.Since(start), "pin", m.Pin)
	return nil
}

// pin takes the root filesystem into the snapshot, and makes sure that it is the key's.
func (m *Manifest) pin(dir, rootfs string) error {
	path := filepath.Join(dir, rootfsFile)
	var err error
	if m.Pin, err = Link(path, rootfs); err != nil {
		return fmt.Errorf("pin root filesystem: %w", err)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	got, err := digestFile(f)
	return compare(rootfs, got, m.Key.Rootfs, err)
}

// fill runs the bake. Its files are open to all users in a folder that only we may enter:
// QEMU's user opens them by an inherited descriptor.
func (m *Manifest) fill(ctx context.Context, dir string, bake Bake) (err error) {
	d := Draft{Rootfs: filepath.Join(dir, rootfsFile)}
	for name, f := range map[string]**os.File{ramFile: &d.RAM, stateFile: &d.State} {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		defer file.Close()
		if err := file.Chmod(0o666); err != nil {
			return err
		}
		*f = file
	}
	m.Note, err = bake(ctx, d)
	return err
}

// digest closes the files to writers, and notes what they hold.
func (m *Manifest) digest(dir string) error {
	for name, f := range map[string]struct {
		to     *File
		digest func(*os.File) (File, error)
	}{ramFile: {&m.RAM, trimRAM}, stateFile: {&m.State, digestFile}} {
		file, err := os.OpenFile(filepath.Join(dir, name), os.O_RDWR, 0)
		if err != nil {
			return err
		}
		if err = file.Chmod(0o400); err == nil {
			*f.to, err = f.digest(file)
		}
		if err == nil {
			err = file.Sync()
		}
		if err = errors.Join(err, file.Close()); err != nil {
			return fmt.Errorf("digest %s: %w", name, err)
		}
	}
	if m.RAM.Size != m.Key.Memory {
		return fmt.Errorf("the machine has %d bytes of memory, its key %d", m.RAM.Size, m.Key.Memory)
	}
	if m.State.Size <= 0 || m.State.Size > maxState {
		return fmt.Errorf("the machine's state has %d bytes, want 1 to %d", m.State.Size, maxState)
	}
	return nil
}

// trimRAM gives up what the guest had used once and then zeroed, a third of the whole.
func trimRAM(f *os.File) (File, error) {
	info, err := f.Stat()
	if err != nil {
		return File{}, err
	}
	if err := sparse.Trim(f, info.Size()); err != nil {
		return File{}, err
	}
	return digestRAM(f)
}

func (m *Manifest) write(dir string) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	for name, content := range map[string][]byte{manifestFile: append(b, '\n'), useFile: nil} {
		f, err := os.OpenFile(filepath.Join(dir, name), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return err
		}
		_, err = f.Write(content)
		if err == nil {
			err = f.Sync()
		}
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// publish moves a complete folder into its place, so that a crash leaves all of it or nothing.
func publish(from, to string) error {
	if err := syncDir(from); err != nil {
		return err
	}
	if err := os.Rename(from, to); err != nil {
		return err
	}
	return syncDir(filepath.Dir(to))
}
