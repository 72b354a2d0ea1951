package coordinator_test

import (
	"context"
	"io"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// TestSyncedWrites counts what the server and the store wrote for ordinary jobs
// from submission to end: record, offer, claim, the offer's tombstone, record.
func TestSyncedWrites(t *testing.T) {
	t.Parallel()
	w := newWorld(t, "e1")
	store := &counted{Store: w.store}
	w.store = store
	g := w.gateway(nil)
	w.executor("e1", 1, func(e *fakeExecutor) { e.prompt = true })
	w.wait(g, w.submit(g, spec()), schemas.StateSucceeded) // makes the pool
	before := w.server.Records(t)
	const jobs, each = 10, 5
	for range jobs {
		w.wait(g, w.submit(g, spec()), schemas.StateSucceeded)
	}
	// The last one's offer may be acknowledged after the job's end.
	w.eventually("5 writes for each job", func() bool { return w.server.Records(t)-before >= jobs*each })
	if n := w.server.Records(t) - before; n != jobs*each {
		t.Errorf("%d writes of the queue for %d jobs, want %d for each", n, jobs, each)
	}
	if n := store.puts.Load(); n != 0 {
		t.Errorf("%d objects stored for jobs without outputs", n)
	}
}

type counted struct {
	objstore.Store
	puts atomic.Int32
}

func (c *counted) Put(ctx context.Context, key string, r io.Reader, o objstore.PutOptions) (objstore.Info, error) {
	c.puts.Add(1)
	return c.Store.Put(ctx, key, r, o)
}
