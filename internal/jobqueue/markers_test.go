package jobqueue_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
)

// TestDeletedKeyIsTakenUntilItsMarkerIsDropped: what belongs to the key can be
// undone before anybody creates it again.
func TestDeletedKeyIsTakenUntilItsMarkerIsDropped(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	rev := must(q.Jobs.Create(ctx, "a.b", []byte("1")))(t)
	if err := q.Jobs.Delete(ctx, "a.b", rev); err != nil {
		t.Fatal(err)
	}
	if _, err := q.Jobs.Update(ctx, "a.b", []byte("2"), 0); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("Update over a marker = %v", err)
	}
	marker := must(q.Jobs.Last(ctx))(t)
	if err := q.Jobs.Free(ctx, "a.b", marker); err != nil {
		t.Fatal(err)
	}
	again := must(q.Jobs.Update(ctx, "a.b", []byte("2"), 0))(t)
	if err := q.Jobs.Free(ctx, "a.b", marker); err != nil { // late, by somebody else
		t.Fatal(err)
	}
	if e, err := q.Jobs.Get(ctx, "a.b"); err != nil || e.Revision != again {
		t.Errorf("Get = %+v, %v: a late drop took a new value", e, err)
	}
}

// TestLeave: who deletes a key leaves word for who creates it next.
func TestLeave(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	if e, err := q.Jobs.Look(ctx, "a.b"); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("Look at nothing = %+v, %v", e, err)
	}
	rev := must(q.Jobs.Create(ctx, "a.b", []byte("1")))(t)
	if e := must(q.Jobs.Look(ctx, "a.b"))(t); e.Deleted || string(e.Value) != "1" || e.Revision != rev {
		t.Errorf("Look at a value = %+v", e)
	}
	marker := must(q.Jobs.Mark(ctx, "a.b", rev))(t)
	if e := must(q.Jobs.Look(ctx, "a.b"))(t); !e.Deleted || len(e.Value) > 0 || e.Revision != marker {
		t.Errorf("Look at a marker = %+v", e)
	}
	if err := q.Jobs.Leave(ctx, "a.b", []byte("word"), marker); err != nil {
		t.Fatal(err)
	}
	if err := q.Jobs.Leave(ctx, "a.b", []byte("late"), marker); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("Leave again = %v", err)
	}
	word := must(q.Jobs.Look(ctx, "a.b"))(t)
	if !word.Deleted || string(word.Value) != "word" {
		t.Errorf("Look at what was left = %+v", word)
	}
	if _, err := q.Jobs.Get(ctx, "a.b"); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("Get = %v", err)
	}
	must(q.Jobs.Update(ctx, "a.b", []byte("2"), word.Revision))(t)
}

// TestLastIsSeenByEveryWatch: also by one that began after the newest write was dropped.
func TestLastIsSeenByEveryWatch(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	if last, err := q.Jobs.Last(ctx); err != nil || last != 0 {
		t.Errorf("Last of an empty bucket = %d, %v", last, err)
	}
	rev := must(q.Jobs.Create(ctx, "a.b", nil))(t)
	gone := must(q.Jobs.Create(ctx, "a.c", nil))(t)
	if err := q.Jobs.Delete(ctx, "a.c", gone); err != nil {
		t.Fatal(err)
	}
	marker := must(q.Jobs.Last(ctx))(t)
	if marker <= gone {
		t.Errorf("Last = %d, want the marker behind %d", marker, gone)
	}
	if err := q.Jobs.Free(ctx, "a.c", marker); err != nil {
		t.Fatal(err)
	}
	if last := must(q.Jobs.Last(ctx))(t); last != rev {
		t.Errorf("Last = %d, want %d", last, rev)
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	var seen uint64
	if err := q.Jobs.Watch(ctx, func(e jobqueue.Entry) { seen = max(seen, e.Revision) }, cancel); err != nil || seen != rev {
		t.Errorf("watch saw %d, want %d (%v)", seen, rev, err)
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// TestMarkFree: a key that nobody has is taken, and one that somebody has is left alone.
func TestMarkFree(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	marker := must(q.Jobs.MarkFree(ctx, "a.b"))(t)
	if _, err := q.Jobs.Update(ctx, "a.b", []byte("1"), 0); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("Update of a key that was taken = %v", err)
	}
	if _, err := q.Jobs.MarkFree(ctx, "a.b"); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("MarkFree over a marker = %v", err)
	}
	rev := must(q.Jobs.Update(ctx, "a.b", []byte("1"), marker))(t)
	if _, err := q.Jobs.MarkFree(ctx, "a.b"); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("MarkFree over a value = %v", err)
	}
	if e := must(q.Jobs.Get(ctx, "a.b"))(t); e.Revision != rev {
		t.Errorf("Get = %+v", e)
	}
}

// TestFreeValue: a value goes without a trace, unless it was written again.
func TestFreeValue(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	first := must(q.Jobs.Create(ctx, "a.b", []byte("1")))(t)
	second := must(q.Jobs.Update(ctx, "a.b", []byte("2"), first))(t)
	if err := q.Jobs.Free(ctx, "a.b", first); err != nil {
		t.Fatal(err)
	}
	if e := must(q.Jobs.Get(ctx, "a.b"))(t); e.Revision != second {
		t.Errorf("Get = %+v", e)
	}
	if err := q.Jobs.Free(ctx, "a.b", second); err != nil {
		t.Fatal(err)
	}
	if e, err := q.Jobs.Look(ctx, "a.b"); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("Look = %+v, %v", e, err)
	}
}

// TestRetire: a key goes if it is as it was read, watchers are told, and it can be made anew.
func TestRetire(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx := t.Context()
	rev := must(q.Campaigns.Create(ctx, "a.b", []byte("1")))(t)
	if _, err := q.Campaigns.Retire(ctx, "a.b", rev+1); !errors.Is(err, jobqueue.ErrConflict) {
		t.Errorf("Retire what has changed = %v", err)
	}
	marker := must(q.Campaigns.Retire(ctx, "a.b", rev))(t)
	if e, err := q.Campaigns.Get(ctx, "a.b"); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("Get = %+v, %v", e, err)
	}
	if e := must(q.Campaigns.Look(ctx, "a.b"))(t); !e.Deleted || e.Revision != marker {
		t.Errorf("Look = %+v, want marker %d", e, marker)
	}
	must(q.Campaigns.Create(ctx, "a.b", []byte("2")))(t)
}

// TestKeysThatAreFreedMeanwhile: a list and a watch end, or are loaded, also when keys go
// that they have not come to yet.
func TestKeysThatAreFreedMeanwhile(t *testing.T) {
	t.Parallel()
	q := queuetest.Start(t).Gateway(t, nil)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	const keys = 5000 // more than the server sends ahead
	var revs []uint64
	for i := range keys / jobqueue.MaxBatch {
		var entries []jobqueue.Entry
		for j := range jobqueue.MaxBatch {
			entries = append(entries, jobqueue.Entry{Key: fmt.Sprintf("a.%d", i*jobqueue.MaxBatch+j), Value: make([]byte, 1000)})
		}
		first := must(q.Jobs.UpdateAll(ctx, entries))(t)
		for j := range entries {
			revs = append(revs, first+uint64(j))
		}
	}
	free := sync.OnceFunc(func() {
		for i := keys / 2; i < keys; i++ {
			if err := q.Jobs.Free(ctx, fmt.Sprintf("a.%d", i), revs[i]); err != nil {
				t.Error(err)
			}
		}
	})
	n := 0
	err := q.Jobs.Read(ctx, "a", 0, func(jobqueue.Entry) bool { n++; free(); return true })
	if err != nil || n < keys/2 || n == keys {
		t.Errorf("%d keys, %v", n, err)
	}
	free = sync.OnceFunc(func() {
		for i := 100; i < keys/2; i++ {
			if err := q.Jobs.Free(ctx, fmt.Sprintf("a.%d", i), revs[i]); err != nil {
				t.Error(err)
			}
		}
	})
	watching, loaded := context.WithCancel(ctx)
	if err := q.Jobs.Watch(watching, func(jobqueue.Entry) { free() }, loaded); err != nil || ctx.Err() != nil {
		t.Errorf("watch: %v, %v", err, ctx.Err())
	}
}
