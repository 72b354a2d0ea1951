package jobqueue

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// Keys calls each for every key, or its marker, without values. A key that is
// written meanwhile may be missing.
func (b *Bucket) Keys(ctx context.Context, each func(Entry)) error {
	return b.list(ctx, ">", func(e Entry) bool { each(e); return true }, jetstream.MetaOnly())
}

// Read calls each, in order of revision, for the values of keys that begin with
// prefix and a dot and were written after a revision, until it says no. What is
// written meanwhile may be missing.
func (b *Bucket) Read(ctx context.Context, prefix string, after uint64, each func(Entry) bool) error {
	return b.list(ctx, prefix+".>", each, jetstream.IgnoreDeletes(), jetstream.ResumeFromRevision(after+1))
}

func (b *Bucket) list(ctx context.Context, keys string, each func(Entry) bool, opts ...jetstream.WatchOpt) error {
	kv, err := b.open(ctx)
	if err != nil {
		return err
	}
	watcher, err := kv.Watch(ctx, keys, opts...)
	if err != nil {
		return fmt.Errorf("list keys of %s: %w", b.name, err)
	}
	defer stopWatcher(watcher)
	quiet := newQuiet(b, keys)
	defer quiet.stop()
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("list keys of %s: %w", b.name, ctx.Err())
		case <-quiet.tick():
			if quiet.over(ctx) {
				return nil
			}
		case e, ok := <-watcher.Updates():
			if !ok {
				return fmt.Errorf("list keys of %s: the watcher ended", b.name)
			}
			if e == nil || !each(entryOf(e)) {
				return nil
			}
			quiet.saw(e.Revision())
		}
	}
}

// quiet tells when a watcher has given all keys that there are. It says so itself
// when it has given as many as there were at its start, but not if some of these are
// freed before it comes to them.
type quiet struct {
	bucket *Bucket
	keys   string
	last   uint64 // the newest revision that was given
	heard  bool   // since the last tick
	ticker *time.Ticker
}

const quietAfter = time.Second

func newQuiet(b *Bucket, keys string) *quiet {
	return &quiet{bucket: b, keys: keys, ticker: time.NewTicker(quietAfter)}
}

func (q *quiet) tick() <-chan time.Time { return q.ticker.C }
func (q *quiet) stop()                  { q.ticker.Stop() }
func (q *quiet) saw(revision uint64)    { q.last, q.heard = max(q.last, revision), true }

// over asks the stream's leader, if nothing was given since the last tick.
func (q *quiet) over(ctx context.Context) bool {
	if q.heard {
		q.heard = false
		return false
	}
	last, err := q.bucket.lastOf(ctx, q.keys)
	return err == nil && last <= q.last
}

// stopWatcher also takes what the watcher has for us: it waits with that in hand,
// and would do so for ever.
func stopWatcher(w jetstream.KeyWatcher) {
	_ = w.Stop() // fails if it has ended by itself
	go func() {
		for range w.Updates() {
		}
	}()
}
