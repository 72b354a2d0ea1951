package jobqueue

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// below selects the keys of a bucket that begin with prefix and a dot.
func (b *Bucket) below(prefix string) string { return "$KV." + b.name + "." + prefix + ".>" }

// CountBelow is how many keys begin with prefix and a dot. The server lists
// them all for it, so it is for people who ask, not for every job.
func (b *Bucket) CountBelow(ctx context.Context, prefix string) (int64, error) {
	stream, err := b.q.js.Stream(ctx, "KV_"+b.name)
	if err != nil {
		return 0, fmt.Errorf("count %s %s: %w", b.name, prefix, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(b.below(prefix)))
	if err != nil {
		return 0, fmt.Errorf("count %s %s: %w", b.name, prefix, err)
	}
	return int64(len(info.State.Subjects)), nil
}

// RemoveBelow removes all keys that begin with prefix and a dot. Watchers are not told.
func (b *Bucket) RemoveBelow(ctx context.Context, prefix string) error {
	stream, err := b.q.js.Stream(ctx, "KV_"+b.name)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(b.below(prefix)))
	}
	if err != nil {
		return fmt.Errorf("remove %s %s: %w", b.name, prefix, err)
	}
	return nil
}
