package jobqueue_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
)

// TestWritesTogether: every one of many writers at once has his own answer, and
// the server got some of the writes in batches.
func TestWritesTogether(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	q := server.Gateway(t, nil)
	await(t, "writes go together", func() bool {
		storm(t, q)
		return batched(t, server)
	})
}

// TestWritesTogetherWithAMessageLost: a batch that did not arrive whole is written
// all the same, and so is one whose end did not arrive.
func TestWritesTogetherWithAMessageLost(t *testing.T) {
	t.Parallel()
	for _, lose := range []string{"Nats-Batch-Sequence: 2\r\n", "Nats-Batch-Commit: 1\r\n"} {
		server := queuetest.Start(t)
		server.Gateway(t, nil) // makes the buckets
		lossy := &lossyServer{Server: server, lose: []byte(lose)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		q, err := jobqueue.Connect(ctx, jobqueue.Config{Server: lossy, User: "gateway", Password: "test", Synced: true})
		if err != nil {
			t.Fatal(err)
		}
		defer q.Close()
		await(t, "a message is lost", func() bool {
			storm(t, q)
			return lossy.lost.Load()
		})
	}
}

// writers at once: far more than the server is sent one by one.
const writers = 100

// storm has writers create a key, change it, and change it once more as if they did
// not know of the last time.
func storm(t *testing.T, q *jobqueue.Queue) {
	t.Helper()
	var group sync.WaitGroup
	run := time.Now().UnixNano()
	for i := range writers {
		group.Go(func() {
			key := fmt.Sprintf("a.%d-%d", run, i)
			first, err := q.Jobs.Create(t.Context(), key, []byte("first"))
			if err != nil {
				t.Error(err)
				return
			}
			second, err := q.Jobs.Update(t.Context(), key, []byte(key), first)
			if err != nil || second <= first {
				t.Errorf("Update = %d after %d, %v", second, first, err)
			}
			if i == 7 {
				if rev, err := q.Jobs.Update(t.Context(), key, []byte("third"), first); !errors.Is(err, jobqueue.ErrConflict) {
					t.Errorf("Update of an old revision = %d, %v", rev, err)
				}
			}
			if e, err := q.Jobs.Get(t.Context(), key); err != nil || e.Revision != second || !bytes.Equal(e.Value, []byte(key)) {
				t.Errorf("Get = %+v, %v; written at %d", e, err, second)
			}
		})
	}
	group.Wait()
}

// batched reports whether a write that is there came in a batch.
func batched(t *testing.T, server *queuetest.Server) bool {
	t.Helper()
	nc, err := nats.Connect("", nats.InProcessServer(server), nats.UserInfo("gateway", "test"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js := must(jetstream.New(nc))(t)
	stream := must(js.Stream(t.Context(), "KV_jobs"))(t)
	for seq, last := uint64(1), stream.CachedInfo().State.LastSeq; seq <= last; seq++ {
		msg, err := stream.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		if msg.Header.Get("Nats-Batch-Id") != "" {
			return true
		}
	}
	return false
}
