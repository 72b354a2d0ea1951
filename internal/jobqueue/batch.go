package jobqueue

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// MaxBatch is how many keys one [Bucket.UpdateAll] may write: the server's own bound.
const MaxBatch = 1000

// Headers of an atomic batch, which nats.go has no function for.
const (
	headerBatch       = "Nats-Batch-Id"
	headerBatchSeq    = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// UpdateAll writes 1 to [MaxBatch] different keys, each as [Bucket.Update] does with
// the revision in its entry: all of them or none, in one synced write. It returns the
// revision of the first; those of the others follow it, one by one. [ErrConflict] if
// any key has another revision. After another error than that they may have been
// written, all or none.
func (b *Bucket) UpdateAll(ctx context.Context, entries []Entry) (first uint64, err error) {
	if n := len(entries); n == 0 || n > MaxBatch {
		return 0, fmt.Errorf("write %d keys to %s at once: want 1 to %d", n, b.name, MaxBatch)
	}
	if len(entries) == 1 {
		return b.Update(ctx, entries[0].Key, entries[0].Value, entries[0].Revision)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	last, err := b.publishWhole(ctx, entries)
	if err != nil {
		return 0, fmt.Errorf("write %d keys to %s: %w", len(entries), b.name, err)
	}
	return last - uint64(len(entries)) + 1, nil
}

// codeIncomplete is JSAtomicPublishIncompleteBatchErr, which nats.go has no name for.
const codeIncomplete jetstream.ErrorCode = 10176

// batchTries is how often a batch is sent that did not arrive whole.
const batchTries = 3

// errIncomplete: the server lacks a message of the batch, so it has written none:
// the connection was another one in the middle of it.
var errIncomplete = errors.New("the batch did not arrive whole")

// publishWhole sends the batch until the server has all of it.
func (b *Bucket) publishWhole(ctx context.Context, entries []Entry) (last uint64, err error) {
	for range batchTries {
		if last, err = b.publishAll(ctx, entries); !errors.Is(err, errIncomplete) {
			break
		}
	}
	return last, err
}

// publishAll sends the batch and returns the last one's revision. The answer to the
// first tells whether the server takes a batch now, that to the last the rest.
func (b *Bucket) publishAll(ctx context.Context, entries []Entry) (uint64, error) {
	id, end := rand.Text(), len(entries)-1
	for i, e := range entries {
		msg := b.batched(id, i, e)
		switch i {
		case 0:
			if _, err := b.askBatch(ctx, msg); err != nil {
				return 0, err
			}
		case end:
			return b.commit(ctx, msg)
		default:
			if err := b.q.nc.PublishMsg(msg); err != nil {
				return 0, err
			}
		}
	}
	return 0, nil
}

// publishSwiftly is publishAll without a question first; errRefused if the server
// says that it wrote nothing.
func (b *Bucket) publishSwiftly(ctx context.Context, entries []Entry) (last uint64, err error) {
	id, end := rand.Text(), len(entries)-1
	for i, e := range entries[:end] {
		if err := b.q.nc.PublishMsg(b.batched(id, i, e)); err != nil {
			return 0, err
		}
	}
	last, err = b.commit(ctx, b.batched(id, end, entries[end]))
	if apiError(err) != nil || errors.Is(err, ErrConflict) || errors.Is(err, errIncomplete) {
		err = errRefused
	}
	return last, err
}

// batched is a message of a batch: the i-th, from 0.
func (b *Bucket) batched(id string, i int, e Entry) *nats.Msg {
	msg := nats.NewMsg(b.subject(e.Key))
	msg.Data = e.Value
	msg.Header.Set(headerBatch, id)
	msg.Header.Set(headerBatchSeq, strconv.Itoa(i+1))
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(e.Revision, 10))
	return msg
}

// commit sends the last message of a batch.
func (b *Bucket) commit(ctx context.Context, msg *nats.Msg) (last uint64, err error) {
	msg.Header.Set(headerBatchCommit, "1")
	if last, err = b.askBatch(ctx, msg); err == nil && last == 0 {
		err = errors.New("the server's answer has no revision")
	}
	return last, err
}

// askBatch sends one message of a batch and reads the answer: nothing, but for the last.
func (b *Bucket) askBatch(ctx context.Context, msg *nats.Msg) (uint64, error) {
	answer, err := b.q.nc.RequestMsgWithContext(ctx, msg)
	if err != nil || len(answer.Data) == 0 {
		return 0, err
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("decode answer: %w", err)
	}
	if ack.Error != nil {
		return 0, conflictOr(ack.Error)
	}
	return ack.Seq, nil
}

// conflictOr is [ErrConflict] for an answer that says that a key has another
// revision, and errIncomplete for one that says that the batch is not whole.
func conflictOr(err error) error {
	if api := apiError(err); api != nil {
		switch api.ErrorCode {
		case jetstream.JSErrCodeStreamWrongLastSequence, jetstream.JSErrCodeStreamWrongLastSequenceConstant:
			return ErrConflict
		case codeIncomplete:
			return errIncomplete
		}
	}
	return err
}
