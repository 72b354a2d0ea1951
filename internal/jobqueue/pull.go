package jobqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/schemas"
)

// Offer is an offer that was delivered to this executor. It must be
// acknowledged or given back within [AckWait].
type Offer struct {
	Place
	Received time.Time
	q        *Queue
	msg      *nats.Msg
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
	pools   []string
	changed chan struct{}
}

// NewPuller returns one that serves no pool yet.
func (q *Queue) NewPuller() *Puller { return &Puller{q: q, changed: make(chan struct{})} }

// SetPools says which pools to serve from now on, as a gateway's
// [schemas.HelloReply], [schemas.BeatReply] or pools command lists them.
func (p *Puller) SetPools(pools []string) {
	pools = slices.Clone(pools)
	slices.Sort(pools)
	pools = slices.Compact(pools)
	p.mu.Lock()
	defer p.mu.Unlock()
	if slices.Equal(pools, p.pools) {
		return
	}
	p.pools = pools
	close(p.changed)
	p.changed = make(chan struct{})
}

func (p *Puller) snapshot() (pools []string, changed <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.pools, p.changed
}

// Next waits for one offer, until ctx ends. It asks for interactive jobs first,
// then for batch ones, and then waits for whichever comes: its requests lie at
// the server, so a new offer is delivered at once. When several come, all but
// one are given back at once.
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
func (p *Puller) round(ctx context.Context, pools []string, changed <-chan struct{}) (*Offer, error) {
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

// round is one inbox and the pulls whose answers come to it.
type round struct {
	q     *Queue
	pools []string
	inbox string
	sub   *nats.Subscription
	msgs  chan *nats.Msg
}

func (q *Queue) newRound(pools []string) (*round, error) {
	r := &round{q: q, pools: pools, inbox: q.nc.NewInbox(), msgs: make(chan *nats.Msg, 8*len(pools)+8)}
	sub, err := q.nc.ChanSubscribe(r.inbox+".*", r.msgs)
	if err != nil {
		return nil, fmt.Errorf("pull offers: %w", err)
	}
	r.sub = sub
	return r, nil
}

// pull asks consumer i for one offer: consumers are numbered lane by lane.
func (r *round) pull(i int, expires time.Duration) error {
	request := struct {
		Batch   int           `json:"batch"`
		Expires time.Duration `json:"expires,omitempty"`
		NoWait  bool          `json:"no_wait,omitempty"`
	}{1, expires, expires == 0}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("pull offers: %w", err)
	}
	consumer := schemas.ConsumerName(r.pools[i%len(r.pools)], lanes[i/len(r.pools)])
	subject := "$JS.API.CONSUMER.MSG.NEXT." + schemas.StreamJobs + "." + consumer
	if err := r.q.nc.PublishRequest(subject, r.inbox+"."+strconv.Itoa(i), body); err != nil {
		return fmt.Errorf("pull offers: %w", err)
	}
	return nil
}

// tryLane takes what a lane's pools have now.
func (r *round) tryLane(ctx context.Context, lane int) (*Offer, error) {
	for i := range r.pools {
		if err := r.pull(lane*len(r.pools)+i, 0); err != nil {
			return nil, err
		}
	}
	late := time.NewTimer(pullAnswer)
	defer late.Stop()
	for range r.pools {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-late.C:
			return nil, fmt.Errorf("pull offers: no answer in %s", pullAnswer)
		case msg := <-r.msgs:
			if offer, _ := r.read(msg); offer != nil {
				return offer, nil
			}
		}
	}
	return nil, nil
}

// wait leaves a pull at every consumer until one delivers.
func (r *round) wait(ctx context.Context, changed <-chan struct{}) (*Offer, error) {
	epoch := r.q.Epoch()
	for i := range len(r.pools) * len(lanes) {
		if err := r.pull(i, pullExpires); err != nil {
			return nil, err
		}
	}
	check := time.NewTicker(pullPause)
	defer check.Stop()
	late := time.NewTimer(pullExpires + pullAnswer)
	defer late.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-changed:
			return nil, nil
		case <-late.C:
			return nil, nil
		case <-check.C:
			if r.q.Epoch() != epoch {
				return nil, nil // the server forgot the pulls with the connection
			}
		case msg := <-r.msgs:
			offer, status := r.read(msg)
			if offer != nil {
				return offer, nil
			}
			if status != statusExpired {
				return nil, fmt.Errorf("pull offers: %s answered %q", msg.Subject, clip(status))
			}
			return nil, nil
		}
	}
}

// statusExpired answers a pull whose time is over.
const statusExpired = "408"

// read makes an offer of a message, or tells its status.
func (r *round) read(msg *nats.Msg) (*Offer, string) {
	if status := msg.Header.Get("Status"); status != "" {
		return nil, status
	}
	o := &Offer{Received: time.Now(), q: r.q, msg: msg}
	var body schemas.Offer
	var err error
	o.Pool, o.Lane, o.Tenant, o.Job, err = schemas.ParseOffer(msg.Subject)
	if err == nil && len(msg.Data) <= maxOfferBytes {
		body, err = schemas.DecodeControl[schemas.Offer](msg.Data)
	}
	if err != nil || body.Job != o.Job || body.Tenant != o.Tenant || !isAck(msg.Reply) || !slices.Contains(r.pools, o.Pool) {
		r.q.log.Warn("offer refused", "subject", clip(msg.Subject), "err", err)
		return nil, "refused"
	}
	return o, ""
}

// isAck: an answer to an offer must go to the queue, not where somebody else likes it to go.
func isAck(reply string) bool { return strings.HasPrefix(reply, "$JS.ACK."+schemas.StreamJobs+".") }

// close gives back what was delivered after all, once the server has heard
// that nothing more is wanted.
func (r *round) close() {
	defer r.sub.Unsubscribe()
	if err := r.sub.Drain(); err != nil {
		return
	}
	if err := r.q.nc.FlushTimeout(requestTimeout); err != nil {
		return
	}
	for {
		select {
		case msg := <-r.msgs:
			if offer, _ := r.read(msg); offer != nil {
				r.q.acked(offer.Nak(0))
			}
		default:
			return
		}
	}
}
