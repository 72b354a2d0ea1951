package jobqueue_test

import (
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
	"github.com/program-explorer/pe/schemas"
)

// TestReadsAreNeverOfAnOldReplica: a node that is cut off answers direct gets from
// its own copy, which is old, and nothing from our buckets, which refuse them. (A node need
// not be cut off for that: it begins to answer when it has 90% of what is written.)
func TestReadsAreNeverOfAnOldReplica(t *testing.T) {
	t.Parallel()
	c := queuetest.StartCluster(t)
	c.Gateway(t, nil) // makes the streams
	q := c.GatewayAt(t, 0)
	ctx := t.Context()
	// A bucket as nats.go makes it, with direct gets.
	js := rawJetStream(t, c, 0)
	var direct jetstream.KeyValue
	retry(t, "make a bucket", func() (err error) {
		direct, err = js.CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: "direct", Replicas: 3, Storage: jetstream.FileStorage})
		return err
	})
	far, farQueue := rawJetStream(t, c, 2), c.GatewayAt(t, 2)
	old, err := far.KeyValue(ctx, "direct")
	if err != nil {
		t.Fatal(err)
	}
	key := schemas.RecordKey("local", "j0")
	retry(t, "put directly", func() error { _, err := direct.Put(ctx, key, []byte("old")); return err })
	retry(t, "put", func() error { _, err := q.Jobs.Put(ctx, key, []byte("old")); return err })
	await(t, "the far node has a copy", func() bool { e, err := old.Get(ctx, key); return err == nil && string(e.Value()) == "old" })
	if e, err := farQueue.Jobs.Get(ctx, key); err != nil || string(e.Value) != "old" {
		t.Fatalf("get at the far node: %+v, %v", e, err)
	}

	for _, stream := range []string{"KV_direct", "KV_" + schemas.BucketJobs} {
		notLedBy(t, c, 2, stream)
	}
	await(t, "the far node answers direct gets", func() bool { return c.AnswersDirect(t, 2, "KV_direct") })
	c.Cut()
	retry(t, "put directly", func() error { _, err := direct.Put(ctx, key, []byte("new")); return err })
	retry(t, "put", func() error { _, err := q.Jobs.Put(ctx, key, []byte("new")); return err })
	if e, err := old.Get(ctx, key); err != nil || string(e.Value()) != "old" {
		t.Errorf("a direct get of the far node gave %v, %v: this test shows nothing", e, err)
	}
	short, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	if e, err := farQueue.Jobs.Get(short, key); err == nil {
		t.Errorf("the far node gave %q of our bucket", e.Value)
	}
	if e, err := q.Jobs.Get(ctx, key); err != nil || string(e.Value) != "new" {
		t.Errorf("get at the others: %+v, %v", e, err)
	}

	c.Mend()
	await(t, "the far node gives what is new", func() bool {
		short, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		e, err := farQueue.Jobs.Get(short, key)
		if err == nil && string(e.Value) != "new" {
			t.Fatalf("the far node gave %q", e.Value)
		}
		return err == nil
	})
}

// TestTurnsFromAServerThatIsCutOff: it keeps its connections, and nothing else works there.
func TestTurnsFromAServerThatIsCutOff(t *testing.T) {
	t.Parallel()
	c := queuetest.StartCluster(t)
	c.Gateway(t, nil)
	q := c.GatewayFirstAt(t, 2)
	ctx := t.Context()
	retry(t, "put", func() error { _, err := q.Jobs.Create(ctx, "local.before", nil); return err })
	notLedBy(t, c, 2, "KV_"+schemas.BucketJobs)
	c.Cut()
	retry(t, "put elsewhere", func() error { _, err := q.Jobs.Create(ctx, "local.after", nil); return err })
	if q.Epoch() < 2 {
		t.Error("it is still connected as it was")
	}
}

// notLedBy has another node lead a stream than the one that is to be cut off: for up
// to 10 s it would not notice.
func notLedBy(t *testing.T, c *queuetest.Cluster, node int, stream string) {
	t.Helper()
	await(t, stream+" is led by another node", func() bool {
		leader := c.Leader(stream)
		if leader == node {
			c.StepDown(t, stream)
		}
		return leader >= 0 && leader != node
	})
}

// TestBucketsRefuseDirectGets: nobody answers them, of any bucket.
func TestBucketsRefuseDirectGets(t *testing.T) {
	t.Parallel()
	s := queuetest.Start(t)
	q := s.Gateway(t, nil)
	nc, err := nats.Connect("", nats.InProcessServer(s), nats.UserInfo("gateway", "test"))
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := q.Jobs.Put(t.Context(), "a.b", []byte("v")); err != nil {
		t.Fatal(err)
	}
	buckets := 0
	for name := range js.KeyValueStoreNames(t.Context()).Name() {
		buckets++
		if _, err := nc.Request("$JS.API.DIRECT.GET.KV_"+name+".$KV."+name+".a.b", nil, 5*time.Second); !errors.Is(err, nats.ErrNoResponders) {
			t.Errorf("bucket %s: a direct get got %v", name, err)
		}
	}
	if buckets < 3 {
		t.Errorf("%d buckets", buckets)
	}
}

// TestLeadersChange: while leaders step down and a node is away, writers lose
// nothing that was acknowledged, and a watch misses nothing of it.
func TestLeadersChange(t *testing.T) {
	t.Parallel()
	c := queuetest.StartCluster(t)
	q := c.Gateway(t, nil)
	stream := "KV_" + schemas.BucketJobs

	seen := &seen{newest: map[string]jobqueue.Entry{}}
	ctx, stop := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		if err := q.Jobs.Watch(ctx, func(e jobqueue.Entry) { seen.take(t, e) }, nil); err != nil {
			t.Error(err)
		}
	})
	defer watching.Wait()
	defer stop()

	var written sync.Map // key → the last value that was acknowledged
	writing, enough := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for i := range 4 {
		writers.Go(func() { count(t, writing, q, fmt.Sprintf("local.j%d", i), &written) })
	}
	for range 3 {
		seen.more(t, 20)
		c.StepDown(t, stream)
	}
	seen.more(t, 20)
	away := c.Leader(stream)
	await(t, "there is a leader", func() bool { away = c.Leader(stream); return away >= 0 })
	c.Stop(away)
	seen.more(t, 20) // the two others go on
	c.Start(t, away)
	seen.more(t, 20)
	enough()
	writers.Wait()

	written.Range(func(key, value any) bool {
		var e jobqueue.Entry
		retry(t, "get", func() (err error) { e, err = q.Jobs.Get(t.Context(), key.(string)); return err })
		// One that was not acknowledged may have been written all the same.
		if got := number(t, e.Value); got < value.(int) || got > value.(int)+1 {
			t.Errorf("%s is %d, acknowledged was %d", key, got, value)
		}
		await(t, "the watch tells the last write", func() bool { return seen.has(key.(string), e.Revision) })
		return true
	})
	await(t, "the node that was away is current", func() bool { return c.Nodes[away].JetStreamIsStreamCurrent("$G", stream) })
}

// count counts up by compare-and-set, as the coordinator does with records: what
// it does not know the fate of it reads.
func count(t *testing.T, ctx context.Context, q *jobqueue.Queue, key string, written *sync.Map) {
	n, rev := 0, uint64(0)
	for ctx.Err() == nil {
		short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		next, err := q.Jobs.Update(short, key, fmt.Append(nil, n+1), rev)
		cancel()
		if err == nil {
			n, rev = n+1, next
			written.Store(key, n)
			continue
		}
		retry(t, "read after a failed write", func() error {
			short, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			e, err := q.Jobs.Get(short, key)
			if errors.Is(err, jobqueue.ErrNotFound) && n == 0 {
				return nil
			}
			if err != nil {
				return err
			}
			if got := number(t, e.Value); got < n {
				t.Errorf("%s is %d after %d was acknowledged", key, got, n)
			} else {
				n, rev = got, e.Revision
			}
			return nil
		})
	}
}

func number(t *testing.T, value []byte) (n int) {
	t.Helper()
	if _, err := fmt.Sscan(string(value), &n); err != nil {
		t.Error(err)
	}
	return n
}

// seen is what a watch told.
type seen struct {
	mu     sync.Mutex
	last   uint64
	writes int
	newest map[string]jobqueue.Entry
}

func (s *seen) take(t *testing.T, e jobqueue.Entry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if e.Revision <= s.last {
		t.Errorf("the watch told revision %d after %d", e.Revision, s.last)
	}
	if before, known := s.newest[e.Key]; known && number(t, before.Value) >= number(t, e.Value) {
		t.Errorf("%s counts from %s to %s", e.Key, before.Value, e.Value)
	}
	s.last, s.newest[e.Key] = e.Revision, e
	s.writes++
}

func (s *seen) has(key string, rev uint64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.newest[key].Revision >= rev
}

// more waits for so many more writes.
func (s *seen) more(t *testing.T, n int) {
	t.Helper()
	s.mu.Lock()
	from := s.writes
	s.mu.Unlock()
	await(t, "the watch tells more", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.writes >= from+n
	})
}

func rawJetStream(t *testing.T, c *queuetest.Cluster, node int) jetstream.JetStream {
	t.Helper()
	nc, err := nats.Connect(c.Nodes[node].ClientURL(), nats.UserInfo("gateway", "test"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}

// retry does what a cluster may refuse while it has no leader.
func retry(t *testing.T, what string, do func() error) {
	t.Helper()
	await(t, what, func() bool {
		err := do()
		if err != nil {
			t.Logf("%s: %v", what, err)
		}
		return err == nil
	})
}

// await waits for what nothing tells of.
func await(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}
