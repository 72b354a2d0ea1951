package snapshot

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// whyFile is in a snapshot that was set aside, and says why.
const whyFile = "why"

// maxWhy bounds what whyFile holds, in bytes.
const maxWhy = 4 << 10

// Aside returns the snapshots that were set aside. Err says why, and Used when: their folder
// is their own, so nobody uses one of them by the store.
func (s *Store) Aside() ([]Info, error) {
	entries, err := os.ReadDir(filepath.Join(s.dir, brokenDir))
	if err != nil {
		return nil, fmt.Errorf("list snapshots that were set aside: %w", err)
	}
	var all []Info
	for _, e := range entries {
		if info, ok := s.inspectAside(e.Name()); ok {
			all = append(all, info)
		}
	}
	return all, nil
}

func (s *Store) inspectAside(id string) (Info, bool) {
	dir := s.asidePath(id)
	info := Info{ID: id, Bytes: diskUsage(dir), Err: ErrBroken}
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return info, false
	}
	if err != nil {
		info.Err = err
		return info, true
	}
	defer root.Close()
	// What can be known of it: it is broken, so perhaps nothing.
	info.Manifest, _ = readManifest(root, id)
	if use, err := root.Stat(useFile); err == nil {
		info.Used = use.ModTime()
	}
	if why, err := root.ReadFile(whyFile); err == nil && len(why) > 0 {
		info.Err = errors.New(strings.TrimSpace(string(why[:min(len(why), maxWhy)])))
	}
	return info, true
}

// RemoveAside removes a snapshot that was set aside.
func (s *Store) RemoveAside(id string) error {
	if !hexPattern.MatchString(id) || !exists(s.asidePath(id)) {
		return fmt.Errorf("remove snapshot %.80q, set aside: %w", id, ErrNotFound)
	}
	if err := os.RemoveAll(s.asidePath(id)); err != nil {
		return fmt.Errorf("remove snapshot %s, set aside: %w", id, err)
	}
	return nil
}

// VerifyOrSetAside is Verify, and takes the snapshot out of use if it is broken. Nobody
// bakes it anew meanwhile, so that it is the broken one that goes.
func (s *Store) VerifyOrSetAside(ctx context.Context, id string) error {
	if !hexPattern.MatchString(id) {
		return fmt.Errorf("verify snapshot %.80q: %w", id, ErrNotFound)
	}
	lock, err := waitLock(ctx, s.bakeLock(id), os.O_RDWR|os.O_CREATE, unix.LOCK_EX)
	if err != nil {
		return fmt.Errorf("verify snapshot %s: %w", id, err)
	}
	err = s.Verify(ctx, id)
	if errors.Is(err, ErrBroken) {
		err = errors.Join(err, s.setAside(id, err))
	}
	return errors.Join(err, s.endBake(id, lock))
}

// noteWhy leaves the reason in a snapshot. It is for people: without it, all goes on.
func (s *Store) noteWhy(dir string, why error) {
	text := why.Error()
	text = text[:min(len(text), maxWhy-1)]
	if err := os.WriteFile(filepath.Join(dir, whyFile), []byte(text+"\n"), 0o600); err != nil {
		s.log.Debug("reason not noted", "snapshot", filepath.Base(dir), "err", err)
	}
}

func (s *Store) asidePath(id string) string { return filepath.Join(s.dir, brokenDir, id) }
