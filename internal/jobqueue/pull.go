package jobqueue

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// Offer is an offer that was delivered to this executor. It must be
// acknowledged or given back within [AckWait].
type Offer struct {
	Place
	Received time.Time
	q        *Queue
	msg      *nats.Msg
	// stored is when the server got it, in nanoseconds on the server's clock.
	stored int64
}

// Ack removes the offer. It is no fence: an old delivery's acknowledgement also
// removes a newer one's.
func (o *Offer) Ack() error { return o.respond("+ACK") }

// Nak gives the offer back, to be delivered to somebody after the delay.
func (o *Offer) Nak(delay time.Duration) error {
	if delay <= 0 {
		return o.respond("-NAK")
	}
	return o.respond(fmt.Sprintf(`-NAK {"delay": %d}`, delay.Nanoseconds()))
}

func (o *Offer) respond(text string) error {
	if err := o.q.nc.Publish(o.msg.Reply, []byte(text)); err != nil {
		return fmt.Errorf("answer offer of job %s: %w", o.Job, err)
	}
	return nil
}

// Puller takes offers from all pools that the executor is to serve, one for
// each call of [Puller.Next]. Its methods may be called by several slots at once.
type Puller struct {
	q *Queue

	mu      sync.Mutex
	pools   map[string]int
	changed chan struct{}
}

// NewPuller returns one that serves no pool yet.
func (q *Queue) NewPuller() *Puller { return &Puller{q: q, changed: make(chan struct{})} }

// SetPools says which pools to serve from now on, and with which priority, as a
// gateway's [schemas.HelloReply], [schemas.BeatReply] or pools command lists them.
func (p *Puller) SetPools(pools map[string]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if maps.Equal(pools, p.pools) {
		return
	}
	p.pools = maps.Clone(pools)
	close(p.changed)
	p.changed = make(chan struct{})
}

// snapshot never changes: SetPools puts another map in its place.
func (p *Puller) snapshot() (pools map[string]int, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pools, p.changed
}

// Next waits for one offer, until ctx ends. It asks for interactive jobs first,
// then for batch ones, and then waits for whichever comes: its requests lie at
// the server, so a new offer is delivered at once, to the puller with the lowest
// priority number for the pool. When several come, all but one are given back at once.
func (p *Puller) Next(ctx context.Context) (*Offer, error) {
	for {
		pools, changed := p.snapshot()
		offer, err := p.round(ctx, pools, changed)
		if offer != nil {
			return offer, nil // also if ctx has just ended: it would be lost
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if err != nil {
			p.q.log.Debug("pull", "err", err)
			if !sleep(ctx, pullPause) {
				return nil, ctx.Err()
			}
		}
	}
}

const (
	// pullPause is between tries at a consumer or a server that is not there.
	pullPause = 250 * time.Millisecond
	// pullExpires is how long a pull waits at the server before it is sent again.
	pullExpires = 30 * time.Second
	// pullAnswer is how long the answer to a pull that does not wait may take.
	pullAnswer = 2 * time.Second
)

// sleep reports false when ctx ends before the time is over.
func sleep(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// round pulls once from every pool, and again whenever a pull's time is over.
// It ends with an offer, an error, or nothing when the set of pools changed.
func (p *Puller) round(ctx context.Context, pools map[string]int, changed <-chan struct{}) (*Offer, error) {
	r, err := p.q.newRound(pools)
	if err != nil {
		return nil, err
	}
	// The unsubscribed rest of the round may hold offers: they are given back.
	defer func() { go r.close() }()
	for lane := range lanes {
		if offer, err := r.tryLane(ctx, lane); offer != nil || err != nil {
			return offer, err
		}
	}
	return r.wait(ctx, changed)
}
