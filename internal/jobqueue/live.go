package jobqueue

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/schemas"
)

// LiveName is what the subject of a live message says.
type LiveName struct {
	Executor string
	Job      string
	Attempt  int
	Kind     string
}

// Live is a message about something that happens now.
type Live struct {
	LiveName
	Body []byte
}

// PublishLive sends what happens in an attempt to whoever listens now. It never
// waits for them; body is a [schemas.Stage] or a [schemas.LogChunk].
func (q *Queue) PublishLive(n LiveName, body any) error {
	data, err := encode(body, schemas.MaxControlBytes)
	if err == nil {
		err = q.nc.Publish(schemas.LiveSubject(n.Executor, n.Job, n.Attempt, n.Kind), data)
	}
	if err != nil {
		return fmt.Errorf("send live %s of job %s: %w", n.Kind, n.Job, err)
	}
	return nil
}

// Bounds of what waits for one follower. What does not fit is dropped.
const (
	liveMessages = 1024
	liveBytes    = 4 << 20
)

// Listener hears the live messages of one job.
type Listener struct {
	q   *Queue
	sub *nats.Subscription
}

// Listen begins to hear a job; what was sent before is not heard. The caller closes it.
func (q *Queue) Listen(job string) (*Listener, error) {
	sub, err := q.nc.SubscribeSync(schemas.LiveFilter(job))
	if err == nil {
		err = sub.SetPendingLimits(liveMessages, liveBytes)
	}
	if err == nil {
		// Once this returns, the server knows of the interest.
		err = q.nc.Flush()
	}
	if err != nil {
		return nil, fmt.Errorf("listen to job %s: %w", job, err)
	}
	return &Listener{q: q, sub: sub}, nil
}

// Next waits for a message. It returns ctx's error when that ends, and the
// connection's when that is gone.
func (l *Listener) Next(ctx context.Context) (Live, error) {
	for {
		msg, err := l.sub.NextMsgWithContext(ctx)
		if errors.Is(err, nats.ErrSlowConsumer) {
			continue // told once; Dropped counts
		}
		if err != nil {
			return Live{}, err
		}
		m := Live{Body: msg.Data}
		if m.Executor, m.Job, m.Attempt, m.Kind, err = schemas.ParseLive(msg.Subject); err == nil && len(msg.Data) <= schemas.MaxControlBytes {
			return m, nil
		}
		l.q.log.Warn("live message refused", "subject", clip(msg.Subject))
	}
}

// Dropped counts the messages that were lost because Next was not called in time.
func (l *Listener) Dropped() int {
	n, err := l.sub.Dropped()
	if err != nil {
		return 0
	}
	return n
}

// Close ends it.
func (l *Listener) Close() {
	if err := l.sub.Unsubscribe(); err != nil {
		l.q.log.Debug("unsubscribe", "err", err)
	}
}
