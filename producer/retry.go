package producer

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

const (
	firstPause = 100 * time.Millisecond
	maxPause   = 5 * time.Second
)

// patience goes on through transient errors, with growing pauses, as long as
// the gateway was heard of not too long ago.
type patience struct {
	limit time.Duration
	heard time.Time
	tries int
}

func (c *Client) newPatience() *patience { return &patience{limit: c.patience, heard: time.Now()} }

// reset is called when the gateway answered.
func (p *patience) reset() { p.heard, p.tries = time.Now(), 0 }

// pause waits before the next try, as long as the server says or longer, or
// returns err if there should be none.
func (p *patience) pause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if !Transient(err) || time.Since(p.heard) > p.limit {
		return err
	}
	wait := backoff(p.tries)
	var later *laterError
	if errors.As(err, &later) {
		wait += later.after
	}
	if time.Since(p.heard)+wait > p.limit+maxPause {
		return err // it would be in vain: the server has said so
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	p.tries++
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-timer.C:
		return nil
	}
}

// backoff doubles from firstPause to maxPause, and takes a random part of the
// upper half, so that clients of a gateway that comes back don't all come at once.
func backoff(tries int) time.Duration {
	d := min(firstPause<<min(tries, 16), maxPause)
	return d/2 + rand.N(d/2)
}

// retry repeats a call that may be repeated. A gateway that was never there
// is an error at once: the user should hear of it.
func (c *Client) retry(ctx context.Context, try func() error) error {
	p := c.newPatience()
	for {
		err := try()
		if err == nil || refused(err) {
			return err
		}
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}

// retryLimited repeats any call, but only as long as the gateway says that there
// were too many: then nothing was done.
func (c *Client) retryLimited(ctx context.Context, try func() error) error {
	p := c.newPatience()
	for {
		err := try()
		if !limited(err) {
			return err
		}
		if err := p.pause(ctx, err); err != nil {
			return err
		}
	}
}
