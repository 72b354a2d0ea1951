package api

import (
	"context"
	"io"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/program-explorer/pe/gateway/jobresult"
	"github.com/program-explorer/pe/internal/objstore"
)

// heldStore answers no Get before it is let go.
type heldStore struct {
	objstore.Store
	gets, most atomic.Int32
	open       chan struct{}
}

func (s *heldStore) Get(context.Context, string, objstore.Range) (io.ReadCloser, objstore.Info, error) {
	s.gets.Add(1)
	s.most.Store(max(s.most.Load(), s.gets.Load()))
	<-s.open
	s.gets.Add(-1)
	return nil, objstore.Info{}, objstore.ErrNotFound
}

func TestIndexesAreReadFewAtATime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &heldStore{open: make(chan struct{})}
		indexes := newIndexReader(jobresult.New(store, 0))
		for _, key := range []string{"a", "a", "a", "b", "b", "c", "d"} {
			go indexes.read(t.Context(), key, objectOf(key, []byte(key)))
		}
		synctest.Wait()
		if n := store.gets.Load(); n != indexReaders {
			t.Errorf("%d read at once, want %d", n, indexReaders)
		}
		// Who leaves does not wait for a turn.
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := indexes.read(ctx, "e", objectOf("e", nil)); err != context.Canceled {
			t.Error(err)
		}
		close(store.open)
		synctest.Wait()
		if n := store.most.Load(); n != indexReaders {
			t.Errorf("%d read at once, want %d", n, indexReaders)
		}
	})
}
