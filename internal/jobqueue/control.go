package jobqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/schemas"
)

const gatewayGroup = "gateways"

// Ask sends an executor's request to a gateway and decodes the answer into
// reply. [ErrNobody] comes at once if no gateway listens.
func (q *Queue) Ask(ctx context.Context, verb string, request, reply any) error {
	return q.request(ctx, schemas.ControlSubject(verb, q.cfg.Executor), request, reply)
}

// Command sends a gateway's request to an executor. With a nil reply it only
// sends: the executor may never get it.
func (q *Queue) Command(ctx context.Context, executor, verb string, request, reply any) error {
	subject := schemas.CommandSubject(executor, verb)
	if reply != nil {
		return q.request(ctx, subject, request, reply)
	}
	body, err := encode(request, schemas.MaxControlBytes)
	if err == nil {
		err = q.nc.Publish(subject, body)
	}
	if err != nil {
		return fmt.Errorf("command %s: %w", subject, err)
	}
	return nil
}

func (q *Queue) request(ctx context.Context, subject string, request, reply any) error {
	body, err := encode(request, schemas.MaxControlBytes)
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	msg, err := q.nc.RequestWithContext(ctx, subject, body)
	if errors.Is(err, nats.ErrNoResponders) {
		err = ErrNobody
	}
	if err != nil {
		return fmt.Errorf("ask %s: %w", subject, err)
	}
	if len(msg.Data) > schemas.MaxControlBytes {
		return fmt.Errorf("ask %s: answer has %d bytes, at most %d allowed", subject, len(msg.Data), schemas.MaxControlBytes)
	}
	if err := json.Unmarshal(msg.Data, reply); err != nil {
		return fmt.Errorf("ask %s: decode answer: %w", subject, err)
	}
	return nil
}

// Handler answers one request; body is at most [schemas.MaxControlBytes] of
// whatever the other side sent. After an error nothing is answered, and the
// other side asks again.
type Handler func(ctx context.Context, executor string, body []byte) (reply any, err error)

// Serve answers a verb of all executors until ctx ends, and returns when no
// handler runs any more. A shared verb is answered by one of the gateways, any
// other is heard by all.
func (q *Queue) Serve(ctx context.Context, verb string, shared bool, h Handler) error {
	accept := func(msg *nats.Msg) (string, error) {
		got, executor, err := schemas.ParseControl(msg.Subject)
		if err == nil && got != verb {
			err = fmt.Errorf("subject %.120q is no %s", msg.Subject, verb)
		}
		// The answer is published with a gateway's rights, and the server does not
		// ask whether the executor might publish there.
		if err == nil && msg.Reply != "" && !strings.HasPrefix(msg.Reply, inboxPrefix(executor)+".") {
			err = fmt.Errorf("the answer is wanted at %.120q, which is no inbox of %s", msg.Reply, executor)
		}
		return executor, err
	}
	group := ""
	if shared {
		group = gatewayGroup
	}
	return q.serve(ctx, schemas.ControlSubject(verb, "*"), group, accept, h)
}

// ServeCommands answers the gateways' commands to this executor until ctx ends.
func (q *Queue) ServeCommands(ctx context.Context, h func(ctx context.Context, verb string, body []byte) (reply any, err error)) error {
	executor := q.cfg.Executor
	accept := func(msg *nats.Msg) (string, error) {
		verb, ok := strings.CutPrefix(msg.Subject, schemas.CommandSubject(executor, ""))
		if !ok || !schemas.ValidToken(verb) {
			return "", fmt.Errorf("subject %.120q is no command to %s", msg.Subject, executor)
		}
		return verb, nil
	}
	return q.serve(ctx, schemas.CommandSubject(executor, "*"), "", accept, h)
}

// serve subscribes, and passes every message that accept knows by its own subject to
// h with what accept made of it. The message's own subject may differ from the
// subscribed one: JetStream delivers stored messages to any reply subject.
func (q *Queue) serve(ctx context.Context, subject, group string, accept func(*nats.Msg) (string, error), h Handler) error {
	work := newAskers()
	take := func(msg *nats.Msg) {
		who, err := accept(msg)
		if err == nil && msg.Header.Get("Status") != "" {
			err = errors.New("it is the server's answer to a pull, sent here by somebody")
		}
		if err == nil && len(msg.Data) > schemas.MaxControlBytes {
			err = fmt.Errorf("request has %d bytes, at most %d allowed", len(msg.Data), schemas.MaxControlBytes)
		}
		if err != nil {
			q.log.Warn("request refused", "on", subject, "subject", clip(msg.Subject), "err", err)
			return
		}
		if !work.do(ctx, who, request{len(msg.Data), func() { q.answer(context.WithoutCancel(ctx), msg, who, h) }}) {
			q.log.Warn("request dropped: too many of the same sender wait", "subject", clip(msg.Subject))
		}
	}
	sub, err := q.nc.QueueSubscribe(subject, group, take)
	if err != nil {
		return fmt.Errorf("serve %s: %w", subject, err)
	}
	<-ctx.Done()
	if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
		q.log.Debug("unsubscribe", "subject", subject, "err", err)
	}
	work.wait()
	return nil
}

func (q *Queue) answer(ctx context.Context, msg *nats.Msg, who string, h Handler) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	reply, err := h(ctx, who, msg.Data)
	if err != nil {
		q.log.Warn("request not answered", "subject", msg.Subject, "err", err)
		return
	}
	if msg.Reply == "" || reply == nil {
		return
	}
	body, err := encode(reply, schemas.MaxControlBytes)
	if err == nil {
		err = q.nc.Publish(msg.Reply, body)
	}
	if err != nil {
		q.log.Warn("request not answered", "subject", msg.Subject, "err", err)
	}
}

func encode(v any, limit int) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("encode message: %w", err)
	}
	if len(body) > limit {
		return nil, fmt.Errorf("message has %d bytes, at most %d allowed", len(body), limit)
	}
	return body, nil
}

// clip bounds what somebody else chose before it is logged.
func clip(s string) string { return s[:min(len(s), 120)] }
