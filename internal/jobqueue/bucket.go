package jobqueue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/schemas"
)

const (
	bucketJobs   = schemas.BucketJobs
	bucketPools  = schemas.BucketPools
	bucketExecs  = schemas.BucketExecs
	bucketTokens = schemas.BucketTokens
	bucketCache  = schemas.BucketCache

	bucketWebhooks   = schemas.BucketWebhooks
	bucketDeliveries = schemas.BucketDeliveries
	bucketCampaigns  = schemas.BucketCampaigns
	bucketSweep      = schemas.BucketSweep
	bucketHistory    = schemas.BucketHistory
)

// Bucket is a key-value bucket with one value per key. A revision is the
// sequence number of the write: it rises over the whole bucket.
type Bucket struct {
	q    *Queue
	name string

	mu sync.Mutex
	kv jetstream.KeyValue
	of jetstream.Stream
	// gather has writes go together; nil where they do not.
	gather *gatherer
}

// Entry is a value as it was written. A deleted one has what [Bucket.Leave] left, or nothing.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	// Written is when, by the server's clock.
	Written time.Time
	Deleted bool
	// Resumed says that a watch began anew before this entry: of keys that were
	// freed meanwhile it has not told.
	Resumed bool
}

func newBucket(q *Queue, name string) *Bucket { return &Bucket{q: q, name: name} }

// open looks the bucket up once: it may not exist yet when the queue connects.
func (b *Bucket) open(ctx context.Context) (jetstream.KeyValue, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.kv == nil {
		kv, err := b.q.js.KeyValue(ctx, b.name)
		if err != nil {
			return nil, fmt.Errorf("open bucket %s: %w", b.name, err)
		}
		b.kv = kv
	}
	return b.kv, nil
}

// Create writes a key that must not exist and returns its revision; [ErrConflict] if it does.
func (b *Bucket) Create(ctx context.Context, key string, value []byte) (uint64, error) {
	rev, err := b.write(ctx, key, value, 0)
	if !errors.Is(err, ErrConflict) {
		return rev, err
	}
	// Of a deleted key there is a marker, whose revision the write must name.
	kv, openErr := b.open(ctx)
	if openErr != nil {
		return 0, openErr
	}
	rev, createErr := kv.Create(ctx, key, value)
	switch {
	case createErr == nil:
		return rev, nil
	case errors.Is(createErr, jetstream.ErrKeyExists):
		return 0, err
	}
	return 0, fmt.Errorf("create %s %s: %w", b.name, key, createErr)
}

// Update writes a key whose revision must be as given, which may be that of its
// marker, or 0 if there is neither; [ErrConflict] if it is another.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return b.write(ctx, key, value, revision)
}

// UpdateForever is Update of a value that does not age, in a bucket whose values do.
func (b *Bucket) UpdateForever(ctx context.Context, key string, value []byte, revision uint64) (uint64, error) {
	return b.write(ctx, key, value, revision, jetstream.MsgTTLHeader, "never")
}

// UpdateFor is Update of a value that goes by itself after an age, of which nobody is told.
func (b *Bucket) UpdateFor(ctx context.Context, key string, value []byte, revision uint64, age time.Duration) (uint64, error) {
	return b.write(ctx, key, value, revision, jetstream.MsgTTLHeader, age.String())
}

// write takes a header's name and value, too, or nothing.
func (b *Bucket) write(ctx context.Context, key string, value []byte, revision uint64, header ...string) (rev uint64, err error) {
	msg := nats.NewMsg(b.subject(key))
	if len(header) == 2 {
		msg.Header.Set(header[0], header[1])
	}
	msg.Data = value
	err = b.q.answered(ctx, func(ctx context.Context, again bool) error {
		alone := func() (uint64, error) { return b.publish(ctx, msg, revision) }
		if b.gather != nil && !again && len(header) == 0 {
			rev, err = b.gather.write(ctx, Entry{Key: key, Value: value, Revision: revision}, alone)
		} else {
			rev, err = alone()
		}
		if again && errors.Is(err, ErrConflict) {
			rev, err = b.ours(ctx, key, value, err)
		}
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("write %s %s: %w", b.name, key, err)
	}
	return rev, nil
}

// publish sends one write by itself.
func (b *Bucket) publish(ctx context.Context, msg *nats.Msg, revision uint64) (uint64, error) {
	ack, err := b.q.js.PublishMsg(ctx, msg, jetstream.WithExpectLastSequencePerSubject(revision))
	if err != nil {
		return 0, conflictOr(err)
	}
	return ack.Sequence, nil
}

// ours tells what a conflict after a try that nobody answered means: what is there
// may be what that try wrote.
func (b *Bucket) ours(ctx context.Context, key string, value []byte, conflict error) (uint64, error) {
	kv, err := b.open(ctx)
	if err != nil {
		return 0, err
	}
	switch e, err := kv.Get(ctx, key); {
	case err == nil && bytes.Equal(e.Value(), value):
		return e.Revision(), nil
	case err == nil || errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted):
		return 0, conflict
	default:
		return 0, err
	}
}

// Put writes a key whatever it was.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	kv, err := b.open(ctx)
	if err != nil {
		return 0, err
	}
	rev, err := kv.Put(ctx, key, value)
	if err != nil {
		return 0, fmt.Errorf("put %s %s: %w", b.name, key, err)
	}
	return rev, nil
}

// Get reads the latest value from the stream's leader; [ErrNotFound] if there is none.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	kv, err := b.open(ctx)
	if err != nil {
		return Entry{}, err
	}
	var e jetstream.KeyValueEntry
	err = b.q.answered(ctx, func(ctx context.Context, _ bool) (err error) { e, err = kv.Get(ctx, key); return err })
	if errors.Is(err, jetstream.ErrKeyNotFound) || errors.Is(err, jetstream.ErrKeyDeleted) {
		return Entry{}, fmt.Errorf("get %s %s: %w", b.name, key, ErrNotFound)
	}
	if err != nil {
		return Entry{}, fmt.Errorf("get %s %s: %w", b.name, key, err)
	}
	return entryOf(e), nil
}

// Delete removes a key that still has the revision; 0 for whatever it has. It
// leaves a marker: see [Bucket.Free].
func (b *Bucket) Delete(ctx context.Context, key string, revision uint64) error {
	_, err := b.Mark(ctx, key, revision)
	return err
}

// LastRevision is that of the newest write of any key, 0 in an empty bucket, as the stream's leader knows it.
func (b *Bucket) LastRevision(ctx context.Context) (uint64, error) {
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at bucket %s: %w", b.name, err)
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("look at bucket %s: %w", b.name, err)
	}
	return info.State.LastSeq, nil
}

func entryOf(e jetstream.KeyValueEntry) Entry {
	return Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Written: e.Created(), Deleted: e.Operation() != jetstream.KeyValuePut}
}

// Watch calls each for every key's value and then for every write, in order of
// revision, until ctx ends. loaded is called once, when everything that was
// there at the start has been seen. After a broken connection it goes on where it was.
func (b *Bucket) Watch(ctx context.Context, each func(Entry), loaded func()) error {
	w := watch{bucket: b, each: each, loaded: loaded}
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		before := w.last
		err := w.run(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if w.last > before {
			pause = firstPause
		}
		b.q.log.Debug("watch begins anew", "bucket", b.name, "revision", w.last, "err", err)
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

type watch struct {
	bucket *Bucket
	each   func(Entry)
	loaded func()
	last   uint64
	// resumed is set until the first entry after the watch began anew.
	resumed bool
}

// run watches until the watcher ends or the connection was another one.
func (w *watch) run(ctx context.Context) error {
	kv, err := w.bucket.open(ctx)
	if err != nil {
		return err
	}
	epoch := w.bucket.q.Epoch()
	var opts []jetstream.WatchOpt
	if w.last > 0 {
		opts = append(opts, jetstream.ResumeFromRevision(w.last+1))
		w.resumed = true
	}
	watcher, err := kv.WatchAll(ctx, opts...)
	if err != nil {
		return fmt.Errorf("watch %s: %w", w.bucket.name, err)
	}
	defer stopWatcher(watcher)
	quiet := newQuiet(w.bucket, ">")
	defer quiet.stop()
	quiet.saw(w.last)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-quiet.tick():
			if w.bucket.q.Epoch() != epoch {
				return nil
			}
			if w.loaded != nil && quiet.over(ctx) {
				w.take(nil)
			}
		case e, ok := <-watcher.Updates():
			if !ok {
				return errors.New("watcher ended")
			}
			w.take(e)
			quiet.saw(w.last)
		}
	}
}

func (w *watch) take(e jetstream.KeyValueEntry) {
	if e == nil {
		if w.loaded != nil {
			w.loaded()
			w.loaded = nil
		}
		return
	}
	w.last = max(w.last, e.Revision())
	entry := entryOf(e)
	entry.Resumed, w.resumed = w.resumed, false
	w.each(entry)
}
