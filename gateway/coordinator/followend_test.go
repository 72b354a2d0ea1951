package coordinator_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/gateway/coordinator"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// hooked is a store whose Get does something before.
type hooked struct {
	objstore.Store
	hook atomic.Pointer[func(key string) error]
}

func (h *hooked) Get(ctx context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	if before := h.hook.Load(); before != nil {
		if err := (*before)(key); err != nil {
			return nil, objstore.Info{}, err
		}
	}
	return h.Store.Get(ctx, key, r)
}

func (h *hooked) before(get func(key string) error) { h.hook.Store(&get) }

// ending reads updates to their end: the bytes of stdout, and what the last update says.
func (w *world) ending(updates <-chan coordinator.Update) (bytes int, end *coordinator.Ending) {
	w.Helper()
	for u := range updates {
		if end != nil {
			w.Errorf("after the end: %+v", u)
		}
		if end = u.End; u.Chunk != nil {
			bytes += len(u.Chunk.Data)
		}
	}
	return bytes, end
}

// TestEndOfOutput: a follower is told whether it has all of the output of a job
// that has ended: it has, or there was more, or it shall ask again.
func TestEndOfOutput(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &hooked{Store: w.store}
	g := w.gateway(func(c *coordinator.Config) { c.Store = store })
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	a := w.granted(e, rec)
	const long = 3 * schemas.StdioHead
	e.write(a, strings.Repeat("x", long), false)
	w.finish(e, a)
	rec = w.wait(g, rec, schemas.StateSucceeded)
	follow := func() (int, *coordinator.Ending) { return w.ending(w.follow(g, rec, coordinator.Offsets{})) }

	if n, end := follow(); n != long || end == nil || end.Lost {
		t.Errorf("all is there: %d bytes, %+v", n, end)
	}
	store.before(func(string) error { return objstore.ErrUnavailable })
	if n, end := follow(); n != 0 || end != nil {
		t.Errorf("the store does not answer: %d bytes, %+v", n, end)
	}
	store.before(func(key string) error {
		if strings.HasSuffix(key, schemas.ObjectStdout) {
			return objstore.ErrUnavailable
		}
		return nil
	})
	if n, end := follow(); n != 0 || end != nil {
		t.Errorf("the store does not give the log: %d bytes, %+v", n, end)
	}
	store.hook.Store(nil)
	for _, name := range []string{schemas.ObjectStdout, schemas.ObjectResult} {
		key := rec.ResultKey(name)
		info, err := w.store.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		w.replace(key, bytes.Repeat([]byte("x"), int(info.Size)))
		if n, end := follow(); n != 0 || end == nil || !end.Lost {
			t.Errorf("%s was replaced: %d bytes, %+v", name, n, end)
		}
		if err := w.store.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if n, end := follow(); n != 0 || end == nil || !end.Lost {
			t.Errorf("%s was deleted: %d bytes, %+v", name, n, end)
		}
	}
	store.before(func(string) error {
		store.hook.Store(nil)
		return g.Purge(t.Context(), rec.Tenant, rec.ID)
	})
	if n, end := follow(); n != 0 || end == nil || end.Lost {
		t.Errorf("it expires meanwhile: %d bytes, %+v", n, end)
	}
}

func (w *world) replace(key string, data []byte) {
	w.Helper()
	if _, err := w.store.Put(w.Context(), key, bytes.NewReader(data), objstore.PutOptions{Size: int64(len(data))}); err != nil {
		w.Fatal(err)
	}
}

// TestSlowFollowersHoldNoLog: while nobody takes what was read, nothing is open; in
// the end all of it comes, in order.
func TestSlowFollowersHoldNoLog(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &openObjects{Store: w.store}
	g := w.gateway(func(c *coordinator.Config) { c.Store = store })
	e := w.idle("e1", nil)
	rec := w.submit(g, spec())
	a := w.granted(e, rec)
	var log strings.Builder
	for i := 0; log.Len() < 3<<20; i++ {
		fmt.Fprintln(&log, "line", i)
	}
	e.write(a, log.String(), false)
	w.finish(e, a)
	rec = w.wait(g, rec, schemas.StateSucceeded)
	updates := w.follow(g, rec, coordinator.Offsets{})
	w.eventually("as much is read as nobody takes", func() bool { return len(updates) == cap(updates) })
	w.eventually("nothing is open", func() bool { return store.open.Load() == 0 })
	var got strings.Builder
	end := false
	for u := range updates {
		if u.Chunk != nil {
			got.Write(u.Chunk.Data)
		}
		end = u.End != nil && !u.End.Lost
	}
	if got.String() != log.String() || !end {
		t.Errorf("%d bytes of %d, whole: %v", got.Len(), log.Len(), end)
	}
}

// openObjects is a store that knows how many of its objects are being read.
type openObjects struct {
	objstore.Store
	open atomic.Int32
}

func (c *openObjects) Get(ctx context.Context, key string, r objstore.Range) (io.ReadCloser, objstore.Info, error) {
	body, info, err := c.Store.Get(ctx, key, r)
	if err != nil {
		return nil, info, err
	}
	c.open.Add(1)
	return openObject{body, c}, info, nil
}

type openObject struct {
	io.ReadCloser
	of *openObjects
}

func (c openObject) Close() error {
	c.of.open.Add(-1)
	return c.ReadCloser.Close()
}
