package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/schemas"
)

// A server writes a stream to a file until that is full, and then to the next. Whenever
// the newest file has no message left it makes a new one, and keeps the empty one, with
// a buffer of 256 KiB, for a while: executors that keep up with 400 jobs a second would
// have it do so for most of them, and take a gibibyte of memory. So there is always a
// message in the stream of offers that is no offer, and that no consumer selects, and
// it is never far from the newest one: with a file's first offers it moves there.

// keepEvery is how many offers may follow that message before it moves: two writes for
// so many offers, of two each; and so many empty files at most for each full one.
const keepEvery = 64

// keepSubjects has two, since the stream takes no second message of one: the new
// message comes before the old one goes.
var keepSubjects = [2]string{"jobs.q.keep", "jobs.q.keep.too"}

type fileKeeper struct {
	// at is the message's number in the stream, as far as this gateway knows.
	at     atomic.Uint64
	moving atomic.Bool
}

// offered is told each offer's number, by the gateway that made it. One far below the
// message's is of a stream that was made anew, or restored.
func (k *fileKeeper) offered(q *Queue, number uint64) {
	at := k.at.Load()
	if max(number, at)-min(number, at) < keepEvery || !k.moving.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer k.moving.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
		defer cancel()
		if err := q.keepFile(ctx); err != nil {
			q.log.Debug("not moved; tried again with the next offer", "err", err)
		}
	}()
}

// keepFile brings the message to the end of the stream, or near it. Several gateways may
// do so at once: what one of them deletes is never the newest, and numbers never come again.
func (q *Queue) keepFile(ctx context.Context) error {
	stream, err := q.js.Stream(ctx, schemas.StreamJobs)
	if err == nil {
		err = q.keeper.move(ctx, q.js, stream)
	}
	if err != nil {
		return fmt.Errorf("keep the file of stream %s: %w", schemas.StreamJobs, err)
	}
	return nil
}

func (k *fileKeeper) move(ctx context.Context, js jetstream.JetStream, stream jetstream.Stream) error {
	older, newer, err := keptMsgs(ctx, stream)
	if err != nil {
		return err
	}
	if newer.number != 0 && stream.CachedInfo().State.LastSeq < newer.number+keepEvery {
		k.at.Store(newer.number) // another gateway has moved it
		return nil
	}
	// There are two if a gateway ended halfway.
	if err := older.drop(ctx, stream); err != nil {
		return err
	}
	ack, err := js.Publish(ctx, older.subject, nil)
	if api := apiError(err); api != nil && api.ErrorCode == codeStoreFailed && api.Description == maxPerSubjectError {
		return nil // another gateway is moving it, which the next offer finds
	}
	if err != nil {
		return err
	}
	k.at.Store(ack.Sequence)
	return newer.drop(ctx, stream)
}

// keptMsg is one of the two messages; its number is 0 if it is not there.
type keptMsg struct {
	subject string
	number  uint64
}

func keptMsgs(ctx context.Context, stream jetstream.Stream) (older, newer keptMsg, err error) {
	var both [len(keepSubjects)]keptMsg
	for i, subject := range keepSubjects {
		both[i].subject = subject
		msg, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return older, newer, err
		}
		both[i].number = msg.Sequence
	}
	if both[0].number > both[1].number {
		return both[1], both[0], nil
	}
	return both[0], both[1], nil
}

// drop deletes it, if it is there still.
func (m keptMsg) drop(ctx context.Context, stream jetstream.Stream) error {
	if m.number == 0 {
		return nil
	}
	err := stream.DeleteMsg(ctx, m.number)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return nil
	}
	return err
}
