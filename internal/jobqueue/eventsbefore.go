package jobqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// eventsBefore is the stream of events of an earlier version. It kept what was
// handled, and a stream's retention can't be made that of a work queue.
const eventsBefore = "EVENTS"

// closeEventsBefore frees the subjects of that stream, if there is one. Executors
// that report meanwhile are told that nobody takes it, and try again.
func (q *Queue) closeEventsBefore(ctx context.Context) (jetstream.Stream, error) {
	s, err := q.js.Stream(ctx, eventsBefore)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil, nil
	}
	if err == nil {
		cfg := s.CachedInfo().Config
		cfg.Subjects = []string{"before.evt.>"}
		s, err = q.js.UpdateStream(ctx, cfg)
	}
	if err != nil {
		return nil, fmt.Errorf("close stream %s: %w", eventsBefore, err)
	}
	return s, nil
}

// adoptEvents moves to the present stream what may not be handled yet, and deletes
// the earlier one. Two gateways may do it at once, and one may be killed in the
// middle: an event that comes twice is known by its nonce.
func (q *Queue) adoptEvents(ctx context.Context, before jetstream.Stream) error {
	if before == nil {
		return nil
	}
	next := uint64(1)
	if c, err := before.Consumer(ctx, eventsConsumer); err == nil {
		next = c.CachedInfo().AckFloor.Stream + 1
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return fmt.Errorf("adopt events: %w", err)
	}
	state := before.CachedInfo().State
	for seq := max(next, state.FirstSeq); seq <= state.LastSeq; seq++ {
		if err := q.adoptEvent(ctx, before, seq); err != nil {
			return err
		}
	}
	if err := q.js.DeleteStream(ctx, eventsBefore); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("delete stream %s: %w", eventsBefore, err)
	}
	return nil
}

func (q *Queue) adoptEvent(ctx context.Context, before jetstream.Stream, seq uint64) error {
	msg, err := before.GetMsg(ctx, seq)
	if errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil // aged away, or adopted by another gateway
	}
	if err != nil {
		return fmt.Errorf("adopt event: %w", err)
	}
	name, event, err := decodeEvent(msg.Subject, msg.Data)
	if err != nil {
		q.log.Warn("event refused", "subject", clip(msg.Subject), "err", err)
		return nil
	}
	return q.PublishEvent(ctx, name, event)
}
