package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/schemas"
)

// Bounds of what waits for one listener. What does not fit is dropped.
const (
	liveMessages = 1024
	liveBytes    = 4 << 20
)

// ErrClosed: the connection was closed.
var ErrClosed = errors.New("the connection to NATS is closed")

// liveFeeds has one subscription for each job that somebody listens to, however
// many do: a job's output, sent once for each of hundreds of readers, would be more
// than the server lets wait for one connection.
type liveFeeds struct {
	mu    sync.Mutex
	feeds map[string]*liveFeed // by job
}

type liveFeed struct {
	sub *nats.Subscription
	// gone is closed when nothing comes any more.
	gone chan struct{}

	mu        sync.Mutex
	listeners map[*Listener]struct{}
}

// Listener hears the live messages of one job.
type Listener struct {
	q    *Queue
	job  string
	feed *liveFeed
	// lost is what the feed had dropped when this one began to listen.
	lost int

	mu      sync.Mutex
	waiting []Live
	bytes   int
	dropped int
	news    chan struct{}
}

// Listen begins to hear a job; what was sent before is not heard. The caller closes it.
func (q *Queue) Listen(job string) (*Listener, error) {
	l := &Listener{q: q, job: job, news: make(chan struct{}, 1)}
	err := q.live.join(l)
	if err != nil {
		return nil, fmt.Errorf("listen to job %s: %w", job, err)
	}
	// Once this returns, the server knows of the interest.
	if err := q.nc.Flush(); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen to job %s: %w", job, err)
	}
	return l, nil
}

func (f *liveFeeds) join(l *Listener) (err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	feed := f.feeds[l.job]
	if feed == nil {
		if feed, err = l.q.newFeed(l.job); err != nil {
			return err // only of a connection that is closed
		}
		if f.feeds == nil {
			f.feeds = map[string]*liveFeed{}
		}
		f.feeds[l.job] = feed
	}
	l.feed, l.lost = feed, feed.lost()
	feed.mu.Lock()
	defer feed.mu.Unlock()
	feed.listeners[l] = struct{}{}
	return nil
}

func (q *Queue) newFeed(job string) (*liveFeed, error) {
	f := &liveFeed{gone: make(chan struct{}), listeners: map[*Listener]struct{}{}}
	sub, err := q.nc.Subscribe(schemas.LiveFilter(job), func(msg *nats.Msg) {
		m := Live{Body: msg.Data}
		var err error
		if m.Executor, m.Job, m.Attempt, m.Kind, err = schemas.ParseLive(msg.Subject); err != nil || len(msg.Data) > schemas.MaxControlBytes {
			q.log.Warn("live message refused", "subject", clip(msg.Subject))
			return
		}
		f.pass(m)
	})
	if err != nil {
		return nil, err
	}
	f.sub = sub
	gone := sync.OnceFunc(func() { close(f.gone) })
	sub.SetClosedHandler(func(string) { gone() })
	return f, sub.SetPendingLimits(liveMessages, liveBytes)
}

func (f *liveFeed) pass(m Live) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for l := range f.listeners {
		l.take(m)
	}
}

// lost counts what did not even reach the listeners.
func (f *liveFeed) lost() int {
	n, err := f.sub.Dropped()
	if err != nil {
		return 0
	}
	return n
}

// take keeps a message until Next asks for it. The body is shared with other listeners.
func (l *Listener) take(m Live) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == liveMessages || l.bytes+len(m.Body) > liveBytes {
		l.dropped++
		return
	}
	l.waiting, l.bytes = append(l.waiting, m), l.bytes+len(m.Body)
	select {
	case l.news <- struct{}{}:
	default:
	}
}

func (l *Listener) first() (m Live, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.waiting) == 0 {
		return m, false
	}
	m = l.waiting[0]
	l.waiting[0] = Live{}
	l.waiting, l.bytes = l.waiting[1:], l.bytes-len(m.Body)
	return m, true
}

// Next waits for a message, whose body must not be changed. It returns ctx's error
// when that ends, and [ErrClosed] when the connection is closed.
func (l *Listener) Next(ctx context.Context) (Live, error) {
	for {
		if m, ok := l.first(); ok {
			return m, nil
		}
		select {
		case <-l.news:
		case <-ctx.Done():
			return Live{}, ctx.Err()
		case <-l.feed.gone:
			return Live{}, ErrClosed
		}
	}
}

// Dropped counts the messages that were lost because Next was not called in time.
func (l *Listener) Dropped() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.dropped + l.feed.lost() - l.lost
}

// Close ends it.
func (l *Listener) Close() {
	feeds := &l.q.live
	feeds.mu.Lock()
	defer feeds.mu.Unlock()
	l.feed.mu.Lock()
	delete(l.feed.listeners, l)
	last := len(l.feed.listeners) == 0
	l.feed.mu.Unlock()
	if !last || feeds.feeds[l.job] != l.feed {
		return
	}
	delete(feeds.feeds, l.job)
	if err := l.feed.sub.Unsubscribe(); err != nil {
		l.q.log.Debug("unsubscribe", "err", err)
	}
}
