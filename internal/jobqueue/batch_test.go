package jobqueue_test

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
)

func entries(prefix string, n int) []jobqueue.Entry {
	all := make([]jobqueue.Entry, n)
	for i := range all {
		all[i] = jobqueue.Entry{Key: fmt.Sprintf("a.%s%d", prefix, i), Value: fmt.Append(nil, prefix, i)}
	}
	return all
}

func TestUpdateAll(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	for _, n := range []int{1, 2, jobqueue.MaxBatch} {
		all := entries(fmt.Sprint(n, "-"), n)
		first, err := q.Jobs.UpdateAll(t.Context(), all)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range []int{0, n / 2, n - 1} {
			e, err := q.Jobs.Get(t.Context(), all[i].Key)
			if err != nil || e.Revision != first+uint64(i) || string(e.Value) != string(all[i].Value) {
				t.Errorf("key %d of %d: %+v, %v; the first's revision is %d", i, n, e, err, first)
			}
		}
	}
	for _, n := range []int{0, jobqueue.MaxBatch + 1} {
		if _, err := q.Jobs.UpdateAll(t.Context(), entries("x", n)); err == nil {
			t.Errorf("%d keys are written", n)
		}
	}
}

// TestUpdateAllOrNone: one key that exists keeps all others out.
func TestUpdateAllOrNone(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	all := entries("k", 10)
	if _, err := q.Jobs.Create(t.Context(), all[7].Key, []byte("first")); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Jobs.UpdateAll(t.Context(), all); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("UpdateAll = %v", err)
	}
	for i, e := range all {
		if _, err := q.Jobs.Get(t.Context(), e.Key); errors.Is(err, jobqueue.ErrNotFound) != (i != 7) {
			t.Errorf("key %d: %v", i, err)
		}
	}
}

// TestUpdateAllAnew: keys that were deleted may be among them, by whoever knows their markers.
func TestUpdateAllAnew(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	all := entries("k", 5)
	if _, err := q.Jobs.UpdateAll(t.Context(), all[:3]); err != nil {
		t.Fatal(err)
	}
	for i, e := range all[:3] {
		marker, err := q.Jobs.Mark(t.Context(), e.Key, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := q.Jobs.UpdateAll(t.Context(), all); !errors.Is(err, jobqueue.ErrConflict) {
			t.Errorf("over a marker: %v", err)
		}
		all[i].Revision = marker
	}
	first, err := q.Jobs.UpdateAll(t.Context(), all)
	if err != nil {
		t.Fatal(err)
	}
	if e, err := q.Jobs.Get(t.Context(), all[4].Key); err != nil || e.Revision != first+4 {
		t.Errorf("the last has revision %d, the first %d: %v", e.Revision, first, err)
	}
}

// TestUpdateAllAtOnce: of two batches that share a key one is written.
func TestUpdateAllAtOnce(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	var won atomic.Int32
	var group sync.WaitGroup
	for i := range 8 {
		group.Go(func() {
			all := append(entries(fmt.Sprint("g", i, "-"), 20), jobqueue.Entry{Key: "a.shared"})
			switch _, err := q.Jobs.UpdateAll(t.Context(), all); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, jobqueue.ErrConflict):
				t.Error(err)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d batches were written", won.Load())
	}
}
