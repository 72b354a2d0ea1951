package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// slowServer takes a second for each write, one after the other, and for each batch.
type slowServer struct {
	// busy is full while it writes.
	busy     chan struct{}
	revision uint64
	values   map[string]Entry
	batches  []int
	// batchErr is the answer to every batch.
	batchErr error
}

func (s *slowServer) write(e Entry) (uint64, error) {
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	time.Sleep(time.Second)
	if s.values[e.Key].Revision != e.Revision {
		return 0, ErrConflict
	}
	s.revision++
	e.Revision = s.revision
	s.values[e.Key] = e
	return s.revision, nil
}

func (s *slowServer) writeAll(_ context.Context, entries []Entry) (uint64, error) {
	s.busy <- struct{}{}
	defer func() { <-s.busy }()
	time.Sleep(time.Second)
	s.batches = append(s.batches, len(entries))
	for _, e := range entries {
		if s.values[e.Key].Revision != e.Revision {
			return 0, errRefused
		}
	}
	if s.batchErr != nil {
		return 0, s.batchErr
	}
	for _, e := range entries {
		s.revision++
		e.Revision = s.revision
		s.values[e.Key] = e
	}
	return s.revision, nil
}

// gathering runs n writes at once and returns their answers.
func gathering(t *testing.T, s *slowServer, entries []Entry) (g *gatherer, revisions []uint64, errs []error) {
	t.Helper()
	s.values, s.busy = map[string]Entry{}, make(chan struct{}, 1)
	g = &gatherer{batch: s.writeAll}
	revisions, errs = make([]uint64, len(entries)), make([]error, len(entries))
	var group sync.WaitGroup
	for i, e := range entries {
		group.Go(func() {
			revisions[i], errs[i] = g.write(t.Context(), e, func() (uint64, error) { return s.write(e) })
		})
		synctest.Wait()
	}
	group.Wait()
	synctest.Wait() // a batch lands after it has answered
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.apart != 0 || g.together || len(g.line) != 0 {
		t.Errorf("at the end %d go apart, together: %v, %d wait", g.apart, g.together, len(g.line))
	}
	return g, revisions, errs
}

func different(n int) []Entry {
	all := make([]Entry, n)
	for i := range all {
		all[i].Key = fmt.Sprint(i)
	}
	return all
}

func TestGather(t *testing.T) {
	t.Parallel()
	twice := append(different(apart+worthwhile), Entry{Key: "0"}, Entry{Key: fmt.Sprint(apart)}, Entry{Key: fmt.Sprint(apart)})
	wrong := different(apart + worthwhile)
	wrong[apart+3].Revision = 77
	for name, c := range map[string]struct {
		entries   []Entry
		batchErr  error
		batches   []int
		conflicts []int
		took      time.Duration
	}{
		"one":                        {different(1), nil, nil, nil, 1},
		"few":                        {different(apart + worthwhile - 1), nil, nil, nil, apart + worthwhile - 1},
		"many":                       {different(apart + worthwhile), nil, []int{worthwhile}, nil, apart + 1},
		"more":                       {different(apart + worthwhile + 50), nil, []int{worthwhile, 50}, nil, apart + 2},
		"more than a batch may have": {different(apart + worthwhile + MaxBatch + 1), nil, []int{worthwhile, MaxBatch}, nil, apart + 3},
		"the same key again":         {twice, nil, []int{worthwhile}, []int{apart + worthwhile, apart + worthwhile + 1, apart + worthwhile + 2}, apart + 1 + 3},
		"a conflict":                 {wrong, nil, []int{worthwhile}, []int{apart + 3}, apart + 1 + worthwhile},
		"refused":                    {different(apart + worthwhile), errRefused, []int{worthwhile}, nil, apart + 1 + worthwhile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				s := &slowServer{batchErr: c.batchErr}
				begin := time.Now()
				_, revisions, errs := gathering(t, s, c.entries)
				if took := time.Since(begin); took != c.took*time.Second {
					t.Errorf("took %s, want %d s", took, c.took)
				}
				if !slices.Equal(s.batches, c.batches) {
					t.Errorf("batches of %d, want %d", s.batches, c.batches)
				}
				for i, e := range c.entries {
					want := error(nil)
					if slices.Contains(c.conflicts, i) {
						want = ErrConflict
					}
					if !errors.Is(errs[i], want) || want == nil && s.values[e.Key].Revision != revisions[i] {
						t.Errorf("write %d: revision %d, %v; there is %d", i, revisions[i], errs[i], s.values[e.Key].Revision)
					}
				}
			})
		})
	}
}

// TestGatherUnanswered: nobody knows what became of a batch without an answer, so
// nobody is told, and nothing is sent again here.
func TestGatherUnanswered(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowServer{batchErr: context.DeadlineExceeded}
		_, _, errs := gathering(t, s, different(apart+worthwhile))
		for i, err := range errs {
			if unknown := i >= apart; errors.Is(err, context.DeadlineExceeded) != unknown {
				t.Errorf("write %d: %v", i, err)
			}
		}
		if s.revision != apart {
			t.Errorf("%d writes, want those that went apart", s.revision)
		}
	})
}

// TestGatherImpatient: who waits no longer is not written later, and keeps nobody waiting.
func TestGatherImpatient(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowServer{values: map[string]Entry{}, busy: make(chan struct{}, 1)}
		g := &gatherer{batch: s.writeAll}
		var group sync.WaitGroup
		for i, e := range different(apart + 3) {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
				if i == apart+1 {
					ctx, cancel = context.WithTimeout(t.Context(), time.Millisecond)
				}
				defer cancel()
				_, err := g.write(ctx, e, func() (uint64, error) { return s.write(e) })
				if impatient := i == apart+1; errors.Is(err, context.DeadlineExceeded) != impatient {
					t.Errorf("write %d: %v", i, err)
				}
			})
			synctest.Wait()
		}
		group.Wait()
		if _, written := s.values[fmt.Sprint(apart+1)]; written || len(s.values) != apart+2 {
			t.Errorf("%d written, the impatient's: %v", len(s.values), written)
		}
	})
}
