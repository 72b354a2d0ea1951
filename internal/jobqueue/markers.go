package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A deleted key leaves a marker: the last message under its subject. While it is
// there nobody creates the key without naming the marker's revision: so whoever
// deletes a key can undo what belongs to it before the key is free again, and can
// leave word for who creates it next.

// Mark deletes a key as [Bucket.Delete] does, and returns the marker's revision;
// [ErrConflict] if the key has another revision than was given.
func (b *Bucket) Mark(ctx context.Context, key string, revision uint64) (uint64, error) {
	return b.mark(ctx, key, nil, revision)
}

// Leave puts a marker with a value in the place of that at revision; [ErrConflict]
// if that is not there any more.
func (b *Bucket) Leave(ctx context.Context, key string, value []byte, revision uint64) error {
	_, err := b.mark(ctx, key, value, revision)
	return err
}

// MarkFree puts a marker where there is neither a key nor a marker, and returns
// its revision; [ErrConflict] if there is one.
func (b *Bucket) MarkFree(ctx context.Context, key string) (uint64, error) {
	return b.mark(ctx, key, nil, 0, jetstream.ExpectedLastSubjSeqHeader, "0")
}

// MarkerAge is how long the marker of a retired key is kept: all who watch have
// heard of it by then.
const MarkerAge = 24 * time.Hour

// Retire is [Bucket.Mark] with a marker that goes by itself after [MarkerAge]: for
// buckets whose keys are many over the years, and few at a time.
func (b *Bucket) Retire(ctx context.Context, key string, revision uint64) (uint64, error) {
	return b.mark(ctx, key, nil, revision, jetstream.MsgTTLHeader, MarkerAge.String())
}

// mark takes headers' names and values, too.
func (b *Bucket) mark(ctx context.Context, key string, value []byte, revision uint64, headers ...string) (uint64, error) {
	msg := nats.NewMsg(b.subject(key))
	for header := range slices.Chunk(headers, 2) {
		msg.Header.Set(header[0], header[1])
	}
	msg.Data = value
	msg.Header.Set(jetstream.MsgRollup, jetstream.MsgRollupSubject)
	msg.Header.Set("KV-Operation", "PURGE")
	var opts []jetstream.PublishOpt
	if revision != 0 {
		opts = append(opts, jetstream.WithExpectLastSequencePerSubject(revision))
	}
	ack, err := b.q.js.PublishMsg(ctx, msg, opts...)
	if err != nil {
		return 0, fmt.Errorf("delete %s %s: %w", b.name, key, conflictOr(err))
	}
	return ack.Sequence, nil
}

// Look reads the latest value of a key, or its marker, from the stream's leader;
// [ErrNotFound] if there is neither.
func (b *Bucket) Look(ctx context.Context, key string) (e Entry, err error) {
	err = b.q.answered(ctx, func(ctx context.Context, _ bool) error {
		stream, err := b.stream(ctx)
		if err != nil {
			return err
		}
		msg, err := stream.GetLastMsgForSubject(ctx, b.subject(key))
		if err == nil {
			e = Entry{Key: key, Value: msg.Data, Revision: msg.Sequence, Written: msg.Time, Deleted: msg.Header.Get("KV-Operation") != ""}
		}
		return err
	})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return e, fmt.Errorf("look at %s %s: %w", b.name, key, err)
	}
	return e, nil
}

// Markers lists the keys that were deleted, without the markers' values. It reads
// through all keys of the bucket.
func (b *Bucket) Markers(ctx context.Context) (markers []Entry, err error) {
	err = b.Keys(ctx, func(e Entry) {
		if e.Deleted {
			markers = append(markers, e)
		}
	})
	return markers, err
}

// Free removes what was written under key up to a revision, a value or a marker, and
// leaves nothing: watchers are not told, and anybody may create the key. What is
// gone is no error; what was written later stays.
//
// It does not last: a server that was killed reads its files anew, and finds what it
// had removed to make room for a newer value. Without that one an older value is the
// key's again, however long ago it was overwritten (nats-server 2.15.2, its issue
// 8505). The same goes for a key whose marker has gone. So whoever frees keys must know
// by something that is there, and not by what is not, which values still count.
func (b *Bucket) Free(ctx context.Context, key string, revision uint64) error {
	stream, err := b.stream(ctx)
	if err == nil {
		err = stream.Purge(ctx, jetstream.WithPurgeSubject(b.subject(key)), jetstream.WithPurgeSequence(revision+1))
	}
	if err != nil {
		return fmt.Errorf("free %s %s: %w", b.name, key, err)
	}
	return nil
}

// Last is the revision of the newest write that is still there, markers
// included, from the stream's leader; 0 for an empty bucket. A watch that has
// seen it knows every key that was there when Last was called.
func (b *Bucket) Last(ctx context.Context) (uint64, error) { return b.lastOf(ctx, ">") }

// lastOf is Last of the keys that match a pattern.
func (b *Bucket) lastOf(ctx context.Context, keys string) (uint64, error) {
	stream, err := b.stream(ctx)
	if err != nil {
		return 0, fmt.Errorf("last revision of %s: %w", b.name, err)
	}
	msg, err := stream.GetLastMsgForSubject(ctx, b.subject(keys))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("last revision of %s: %w", b.name, err)
	}
	return msg.Sequence, nil
}

// stream looks the bucket's stream up once.
func (b *Bucket) stream(ctx context.Context) (jetstream.Stream, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		of, err := b.q.js.Stream(ctx, "KV_"+b.name)
		if err != nil {
			return nil, err
		}
		b.of = of
	}
	return b.of, nil
}

func (b *Bucket) subject(key string) string { return "$KV." + b.name + "." + key }
