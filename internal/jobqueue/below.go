package jobqueue

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// below selects the keys of a bucket that begin with prefix and a dot.
func (b *Bucket) below(prefix string) string { return "$KV." + b.name + "." + prefix + ".>" }

// CountBelow is how many keys, or markers, begin with prefix and a dot. It asks for a
// consumer, which knows how much it has ahead of it, and reads nothing: the number
// alone is sent. That is still for people who ask, not for every job.
func (b *Bucket) CountBelow(ctx context.Context, prefix string) (int64, error) {
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("count %s %s: %w", b.name, prefix, err)
	}
	consumer, err := stream.CreateConsumer(ctx, jetstream.ConsumerConfig{
		FilterSubject: b.below(prefix), AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: requestTimeout,
	})
	if err != nil {
		return 0, fmt.Errorf("count %s %s: %w", b.name, prefix, err)
	}
	info := consumer.CachedInfo()
	if err := stream.DeleteConsumer(ctx, info.Name); err != nil {
		b.q.log.Debug("consumer that counted keys goes by itself", "bucket", b.name, "err", err)
	}
	return int64(info.NumPending), nil
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
