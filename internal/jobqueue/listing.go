package jobqueue

import (
	"context"
	"fmt"

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
	for {
		select {
		case <-ctx.Done():
			return fmt.Errorf("list keys of %s: %w", b.name, ctx.Err())
		case e, ok := <-watcher.Updates():
			if !ok {
				return fmt.Errorf("list keys of %s: the watcher ended", b.name)
			}
			if e == nil || !each(entryOf(e)) {
				return nil
			}
		}
	}
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
