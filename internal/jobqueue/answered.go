package jobqueue

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// answerTimeout is how long one try waits for an answer. In a cluster a leader that
	// steps down answers none of those whom it had heard.
	answerTimeout = 2 * time.Second
	// deafAfter is how long nothing may be answered before another server is tried:
	// that of a cluster which is cut off from the others keeps its connections.
	deafAfter = 10 * time.Second
)

// answered calls do, which must be safe to repeat, until there is an answer or
// ctx ends; [requestTimeout] bounds it if ctx has no deadline.
func (q *Queue) answered(ctx context.Context, do func(ctx context.Context, again bool) error) error {
	if _, bounded := ctx.Deadline(); !bounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, requestTimeout)
		defer cancel()
	}
	for again := false; ; again = true {
		try, stop := context.WithTimeout(ctx, answerTimeout)
		err := do(try, again)
		stop()
		if q.deaf.heard(unanswered(err), time.Now()) {
			q.elsewhere()
		}
		if !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
			return err
		}
	}
}

// unanswered says that nobody who knows the stream has answered.
func unanswered(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, nats.ErrTimeout) ||
		errors.Is(err, nats.ErrNoResponders) || errors.Is(err, jetstream.ErrNoStreamResponse)
}

// elsewhere connects to another server, if there are several.
func (q *Queue) elsewhere() {
	if len(q.nc.Servers()) < 2 || q.nc.Status() != nats.CONNECTED {
		return
	}
	q.log.Warn("the NATS server answers nothing; turning to another one", "server", q.nc.ConnectedAddr())
	if err := q.nc.ForceReconnect(); err != nil {
		q.log.Debug("turn to another NATS server", "err", err)
	}
}

// deaf knows since when nothing was answered.
type deaf struct {
	mu    sync.Mutex
	since time.Time
}

// heard takes note of an answer, or of none; it is true if there was none for so
// long that another server should be tried, and then begins anew.
func (d *deaf) heard(nothing bool, now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case !nothing:
		d.since = time.Time{}
	case d.since.IsZero():
		d.since = now
	case now.Sub(d.since) >= deafAfter:
		d.since = time.Time{}
		return true
	}
	return false
}
