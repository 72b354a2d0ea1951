package jobqueue

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/program-explorer/pe/schemas"
)

// round is one inbox and the pulls whose answers come to it.
type round struct {
	q        *Queue
	pools    []string
	priority map[string]int
	inbox    string
	sub      *nats.Subscription
	msgs     chan *nats.Msg
}

func (q *Queue) newRound(pools map[string]int) (*round, error) {
	r := &round{
		q: q, pools: slices.Sorted(maps.Keys(pools)), priority: pools,
		inbox: q.nc.NewInbox(), msgs: make(chan *nats.Msg, 8*len(pools)+8),
	}
	sub, err := q.nc.ChanSubscribe(r.inbox+".*", r.msgs)
	if err != nil {
		return nil, fmt.Errorf("pull offers: %w", err)
	}
	r.sub = sub
	return r, nil
}

// pull asks consumer i for one offer: consumers are numbered lane by lane.
func (r *round) pull(i int, expires time.Duration) error {
	pool := r.pools[i%len(r.pools)]
	request := struct {
		Batch    int           `json:"batch"`
		Expires  time.Duration `json:"expires,omitempty"`
		NoWait   bool          `json:"no_wait,omitempty"`
		Group    string        `json:"group"`
		Priority int           `json:"priority,omitempty"`
	}{1, expires, expires == 0, priorityGroup, r.priority[pool]}
	body, err := json.Marshal(request)
	if err != nil {
		return fmt.Errorf("pull offers: %w", err)
	}
	consumer := schemas.ConsumerName(pool, lanes[i/len(r.pools)])
	subject := "$JS.API.CONSUMER.MSG.NEXT." + schemas.StreamJobs + "." + consumer
	if err := r.q.nc.PublishRequest(subject, r.inbox+"."+strconv.Itoa(i), body); err != nil {
		return fmt.Errorf("pull offers: %w", err)
	}
	return nil
}

// tryLane takes the best of what a lane's pools have now, and gives the others back.
func (r *round) tryLane(ctx context.Context, lane int) (best *Offer, err error) {
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
			return best, ctx.Err()
		case <-late.C:
			return best, fmt.Errorf("pull offers: no answer in %s", pullAnswer)
		case msg := <-r.msgs:
			if offer, _ := r.read(msg); offer != nil {
				best = r.better(best, offer)
			}
		}
	}
	return best, nil
}

// unfit is by how much later an offer counts as made for each number of the
// pool's priority: an executor with a choice takes the job that fits it best, but
// no other one waits for ever behind those.
const unfit = time.Second

// better returns the offer to take and gives the other one back.
func (r *round) better(a, b *Offer) *Offer {
	if a == nil {
		return b
	}
	if r.rank(b) < r.rank(a) {
		a, b = b, a
	}
	r.q.acked(b.Nak(0))
	return a
}

func (r *round) rank(o *Offer) int64 { return o.stored + int64(r.priority[o.Pool])*int64(unfit) }

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
	o.stored = storedAt(msg.Reply)
	return o, ""
}

// isAck: an answer to an offer must go to the queue, not where somebody else likes it to go.
func isAck(reply string) bool { return strings.HasPrefix(reply, "$JS.ACK."+schemas.StreamJobs+".") }

// storedAt reads when the server got the offer, in nanoseconds:
// $JS.ACK.<stream>.<consumer>.<delivered>.<seq>.<consumer seq>.<time>.<pending>.
func storedAt(reply string) int64 {
	parts := strings.Split(reply, ".")
	if len(parts) < 9 {
		return 0
	}
	at, err := strconv.ParseInt(parts[7], 10, 64)
	if err != nil {
		return 0
	}
	return at
}

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
