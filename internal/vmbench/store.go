package vmbench

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/executor/snapshot"
)

// stores load a machine with memory of its own, and store it as another snapshot.
func (b *bench) stores(ctx context.Context) error {
	if err := b.room(); err != nil {
		return err
	}
	store, err := snapshot.Open(snapshot.Config{Dir: filepath.Join(b.Dir, "snapshots")})
	if err != nil {
		return err
	}
	s := &storing{bench: b, store: store, phases: map[string][]float64{}}
	if err := b.together(ctx, s.one, b.sample); err != nil {
		return err
	}
	if err := s.last(ctx); err != nil {
		return fmt.Errorf("use what was stored: %w", err)
	}
	b.result.PhasesMS = map[string]float64{}
	for name, list := range s.phases {
		b.result.PhasesMS[name] = Median(list)
	}
	for _, id := range s.stored {
		bytes, err := exclusive(filepath.Join(b.Dir, "snapshots", "ready", id))
		if err != nil {
			return err
		}
		b.result.StoredBytes = append(b.result.StoredBytes, bytes)
	}
	b.result.How = fmt.Sprintf("%s of the memory; samples_ms: from its copying until the new snapshot has its digests, is synced and in its place; stored_bytes: %s", s.how, howExclusive)
	return nil
}

// room fails where what is to be stored would not fit.
func (b *bench) room() error {
	var s unix.Statfs_t
	if err := unix.Statfs(b.Dir, &s); err != nil {
		return fmt.Errorf("find free disk: %w", err)
	}
	free := int64(s.Bavail) * int64(s.Bsize)
	// A machine that has run has more memory of its own than before.
	if want := int64(b.Times) * b.Snapshot.Bytes() * 3 / 2; free < want {
		return fmt.Errorf("%d stored snapshots may take %d MiB, and %s has %d: ask for fewer", b.Times, want>>20, b.Dir, free>>20)
	}
	return nil
}

type storing struct {
	*bench
	store *snapshot.Store

	mu     sync.Mutex
	phases map[string][]float64
	how    snapshot.How
	stored []string
}

// one stores a machine under a key of its own.
func (s *storing) one(ctx context.Context, n int) (l *live, err error) {
	key := s.Snapshot.Manifest().Key
	key.Warmup = append(slices.Clone(key.Warmup), snapshot.Warmup{Argv: []string{"vm-bench", fmt.Sprint(n)}})
	var saved time.Time
	snap, _, err := s.store.Derive(ctx, key, s.Snapshot, func(ctx context.Context, d snapshot.Draft) (json.RawMessage, error) {
		l, err = s.fill(ctx, d)
		saved = time.Now()
		return s.Snapshot.Manifest().Note, err
	})
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stored = append(s.stored, snap.Manifest().ID)
	s.phase("publish", time.Since(saved))
	return l, nil
}

// fill makes the draft a machine that went on from the snapshot.
func (s *storing) fill(ctx context.Context, d snapshot.Draft) (*live, error) {
	start := time.Now()
	how, err := s.Snapshot.CopyRAM(d.RAM)
	if err != nil {
		return nil, err
	}
	copied := time.Now()
	l, err := s.restore(ctx, s.Snapshot, d.RAM)
	if err != nil {
		return nil, err
	}
	replied := time.Now()
	if err := errors.Join(l.machine.Bake(ctx, d.State), l.close()); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.how = how
	s.phase("copy", copied.Sub(start))
	s.phase("restore", replied.Sub(copied))
	s.phase("save", time.Since(replied))
	return l, nil
}

func (s *storing) phase(name string, took time.Duration) {
	s.phases[name] = append(s.phases[name], ms(took))
}

// last restores a machine from one of the stored snapshots, for what does not come back was not stored.
func (s *storing) last(ctx context.Context) error {
	snap, err := s.store.Acquire(ctx, s.stored[len(s.stored)-1])
	if err != nil {
		return err
	}
	defer snap.Release()
	l, err := s.restore(ctx, snap, nil)
	if err != nil {
		return err
	}
	return l.close()
}
