package snapshot

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Collected is what GC did.
type Collected struct {
	Removed []string // ids
	Freed   int64    // bytes
	Kept    int64    // bytes that snapshots still take
}

// GC removes snapshots until all of them take at most budget bytes of the disk: those that were
// set aside first, then the least recently used. Those in use stay, so Kept can be over
// the budget.
func (s *Store) GC(ctx context.Context, budget int64) (Collected, error) {
	var c Collected
	all, err := s.List()
	if err != nil {
		return c, err
	}
	aside, err := os.ReadDir(filepath.Join(s.dir, brokenDir))
	if err != nil {
		return c, fmt.Errorf("collect snapshots: %w", err)
	}
	for _, e := range aside {
		c.Kept += diskUsage(filepath.Join(s.dir, brokenDir, e.Name()))
	}
	for _, info := range all {
		c.Kept += info.Bytes
	}
	for _, e := range aside {
		path := filepath.Join(s.dir, brokenDir, e.Name())
		if c.Kept <= budget {
			break
		}
		if err := c.take(e.Name(), diskUsage(path), os.RemoveAll(path)); err != nil {
			return c, err
		}
	}
	for _, info := range all {
		if c.Kept <= budget || ctx.Err() != nil {
			break
		}
		err := s.Remove(info.ID)
		if errors.Is(err, ErrInUse) || errors.Is(err, ErrNotFound) {
			continue
		}
		if err := c.take(info.ID, info.Bytes, err); err != nil {
			return c, err
		}
	}
	return c, context.Cause(ctx)
}

func (c *Collected) take(id string, bytes int64, err error) error {
	if err != nil {
		return fmt.Errorf("collect snapshots: %w", err)
	}
	c.Removed = append(c.Removed, id)
	c.Freed += bytes
	c.Kept -= bytes
	return nil
}
