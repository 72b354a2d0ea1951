package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/schemas"
)

// EventName is what an event's subject says: who reports the end of what.
type EventName struct {
	Executor string
	Job      string
	Attempt  int
	Kind     schemas.EventKind
}

// PublishEvent leaves the report of an attempt's end for a gateway; when it
// returns nil, the event is on disk. It may be repeated: the server knows the same
// event for two minutes, and the gateway for ever.
func (q *Queue) PublishEvent(ctx context.Context, n EventName, e schemas.Event) error {
	body, err := encode(e, MaxEventBytes)
	if err != nil {
		return fmt.Errorf("report job %s: %w", n.Job, err)
	}
	subject := schemas.EventSubject(n.Executor, n.Job, n.Attempt, n.Kind)
	msg := &nats.Msg{Subject: subject, Data: body, Header: nats.Header{}}
	if _, err := q.js.PublishMsg(ctx, msg, jetstream.WithMsgID(subject+e.Nonce)); err != nil {
		return fmt.Errorf("report job %s attempt %d: %w", n.Job, n.Attempt, err)
	}
	return nil
}

// Verdict says what is to be done with an event's message.
type Verdict struct {
	// Retry: deliver it again after so long; 0 means that it is done with.
	Retry time.Duration
}

const (
	eventsConsumer = "gateways"
	eventAckWait   = 20 * time.Second
	eventsAtOnce   = 64
)

// ConsumeEvents calls handle for every event, several at once and in any order,
// until ctx ends. All gateways share one consumer: each event goes to one of
// them, and to another if that one does not finish in time.
func (q *Queue) ConsumeEvents(ctx context.Context, handle func(context.Context, EventName, schemas.Event) Verdict) error {
	consumer, err := q.eventConsumer(ctx)
	if err != nil {
		return err
	}
	work := newWorkers(eventsAtOnce)
	take := func(msg jetstream.Msg) {
		if !work.do(ctx, func() { q.event(context.WithoutCancel(ctx), msg, handle) }) {
			q.acked(msg.Nak()) // for another gateway, at once
		}
	}
	running, err := consumer.Consume(take, jetstream.PullMaxMessages(2*eventsAtOnce),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) { q.log.Debug("events", "err", err) }))
	if err != nil {
		return fmt.Errorf("consume events: %w", err)
	}
	<-ctx.Done()
	running.Drain()
	<-running.Closed()
	work.wait()
	return nil
}

func (q *Queue) eventConsumer(ctx context.Context) (jetstream.Consumer, error) {
	consumer, err := q.js.CreateOrUpdateConsumer(ctx, schemas.StreamEvents, jetstream.ConsumerConfig{
		Durable:       eventsConsumer,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       eventAckWait,
		MaxDeliver:    -1,
		MaxAckPending: 10_000,
	})
	if err != nil {
		return nil, fmt.Errorf("make consumer of events: %w", err)
	}
	return consumer, nil
}

func (q *Queue) event(ctx context.Context, msg jetstream.Msg, handle func(context.Context, EventName, schemas.Event) Verdict) {
	name, event, err := decodeEvent(msg.Subject(), msg.Data())
	if err != nil {
		q.log.Warn("event refused", "subject", clip(msg.Subject()), "err", err)
		q.acked(msg.Term())
		return
	}
	if v := handle(ctx, name, event); v.Retry > 0 {
		q.acked(msg.NakWithDelay(v.Retry))
		return
	}
	q.acked(msg.Ack())
}

// acked: a lost acknowledgement only means that the message comes again.
func (q *Queue) acked(err error) {
	if err != nil {
		q.log.Debug("acknowledge", "err", err)
	}
}

// FindEvent returns the event that reports the end of an attempt, if it lies in the
// stream and was not handled yet; else [ErrNotFound].
func (q *Queue) FindEvent(ctx context.Context, executor, job string, attempt int) (EventName, schemas.Event, error) {
	stream, err := q.js.Stream(ctx, schemas.StreamEvents)
	if err != nil {
		return EventName{}, schemas.Event{}, fmt.Errorf("find event: %w", err)
	}
	for _, kind := range []schemas.EventKind{schemas.EventResult, schemas.EventFailed} {
		subject := schemas.EventSubject(executor, job, attempt, kind)
		msg, err := stream.GetLastMsgForSubject(ctx, subject)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		if err != nil {
			return EventName{}, schemas.Event{}, fmt.Errorf("find event %s: %w", subject, err)
		}
		if name, event, err := decodeEvent(msg.Subject, msg.Data); err == nil {
			return name, event, nil
		}
	}
	return EventName{}, schemas.Event{}, fmt.Errorf("find event of job %s attempt %d: %w", job, attempt, ErrNotFound)
}

// decodeEvent checks that subject and body are an event's, and fit each other.
func decodeEvent(subject string, data []byte) (n EventName, e schemas.Event, err error) {
	if n.Executor, n.Job, n.Attempt, n.Kind, err = schemas.ParseEvent(subject); err != nil {
		return n, e, err
	}
	if len(data) > MaxEventBytes {
		return n, e, fmt.Errorf("event has %d bytes, at most %d allowed", len(data), MaxEventBytes)
	}
	if e, err = schemas.DecodeControl[schemas.Event](data); err != nil {
		return n, e, fmt.Errorf("decode event: %w", err)
	}
	if (n.Kind == schemas.EventResult) != (e.Outcome != nil) {
		return n, e, fmt.Errorf("event of kind %s does not hold what it should", n.Kind)
	}
	return n, e, nil
}
