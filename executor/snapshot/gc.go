package snapshot

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Collected is what GC did.
type Collected struct {
	Removed []string // ids
	Freed   int64    // bytes
	Kept    int64    // bytes that snapshots still take
	// InUse are the ids of those that were to go, but somebody uses them.
	InUse []string
}

// GC removes snapshots until all of them take at most budget bytes of the disk: those that were
// set aside first, then the least recently used. Those in use stay, so Kept can be over
// the budget.
func (s *Store) GC(ctx context.Context, budget int64) (Collected, error) {
	return s.collect(ctx, budget, s.RemoveAside, s.Remove)
}

// Plan says what GC would do now, and does nothing.
func (s *Store) Plan(ctx context.Context, budget int64) (Collected, error) {
	spare := func(string) error { return nil }
	return s.collect(ctx, budget, spare, spare)
}

// Free is how much of the store's disk is free for us, in bytes.
func (s *Store) Free() (int64, error) {
	var fs unix.Statfs_t
	if err := unix.Statfs(s.dir, &fs); err != nil {
		return 0, fmt.Errorf("free disk for snapshots: %w", err)
	}
	return int64(fs.Bavail) * int64(fs.Bsize), nil
}

// collect offers to remove what is over the budget.
func (s *Store) collect(ctx context.Context, budget int64, removeAside, remove func(id string) error) (Collected, error) {
	var c Collected
	all, err := s.List()
	if err != nil {
		return c, err
	}
	aside, err := s.Aside()
	if err != nil {
		return c, err
	}
	common := newShared()
	count := func(infos []Info, folder func(id string) string) {
		for _, info := range infos {
			common.add(folder(info.ID))
			c.Kept += info.Bytes
		}
	}
	count(aside, s.asidePath)
	count(all, s.readyPath)
	c.Kept += common.bytes()
	for _, info := range aside {
		if err := c.take(ctx, budget, info, removeAside, func() int64 { return common.drop(s.asidePath(info.ID)) }); err != nil {
			return c, err
		}
	}
	for _, info := range all {
		if err := c.take(ctx, budget, info, remove, func() int64 { return common.drop(s.readyPath(info.ID)) }); err != nil {
			return c, err
		}
	}
	return c, context.Cause(ctx)
}

// take removes a snapshot, if that is still necessary and nobody uses it. Shared says what
// that frees besides the snapshot's own.
func (c *Collected) take(ctx context.Context, budget int64, info Info, remove func(id string) error, shared func() int64) error {
	if c.Kept <= budget || ctx.Err() != nil {
		return nil
	}
	err := ErrInUse
	if !info.InUse {
		err = remove(info.ID)
	}
	switch {
	case err == nil:
		freed := info.Bytes + shared()
		c.Removed = append(c.Removed, info.ID)
		c.Freed += freed
		c.Kept -= freed
	case errors.Is(err, ErrInUse):
		c.InUse = append(c.InUse, info.ID)
	case errors.Is(err, ErrNotFound):
		c.Kept -= info.Bytes + shared() // another has removed it
	default:
		return fmt.Errorf("collect snapshots: %w", err)
	}
	return nil
}
