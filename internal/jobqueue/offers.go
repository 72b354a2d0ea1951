package jobqueue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/schemas"
)

// Place is where a job is offered.
type Place struct{ Pool, Lane, Tenant, Job string }

// Subject of the offer.
func (p Place) Subject() string { return schemas.OfferSubject(p.Pool, p.Lane, p.Tenant, p.Job) }

// PublishOffer offers a job. The id (Nats-Msg-Id) must rise with each feed: the
// same one again within [OfferWindow] stores nothing and stored is false. The
// error is [ErrOffered] if an offer of the job is there.
func (q *Queue) PublishOffer(ctx context.Context, p Place, id string) (stored bool, err error) {
	body, err := json.Marshal(schemas.Offer{Job: p.Job, Tenant: p.Tenant})
	if err != nil {
		return false, fmt.Errorf("offer job %s: %w", p.Job, err)
	}
	msg := &nats.Msg{Subject: p.Subject(), Data: body, Header: nats.Header{}}
	ack, err := q.js.PublishMsg(ctx, msg, jetstream.WithMsgID(id))
	if err == nil {
		q.keeper.offered(q, ack.Sequence)
		return !ack.Duplicate, nil
	}
	api := apiError(err)
	if api != nil && api.ErrorCode == codeDuplicateInProcess {
		return false, nil // another gateway's; should that one fail, the job has no offer, which is looked for
	}
	if api != nil && api.ErrorCode == codeStoreFailed {
		if api.Description == maxPerSubjectError {
			return false, fmt.Errorf("offer job %s: %w", p.Job, ErrOffered)
		}
		return false, fmt.Errorf("offer job %s: %w: %s", p.Job, ErrFull, api.Description)
	}
	return false, fmt.Errorf("offer job %s: %w", p.Job, err)
}

// Offered lists the jobs of a pool and lane that have an offer in the stream,
// waiting or delivered and not acknowledged.
func (q *Queue) Offered(ctx context.Context, pool, lane string) ([]Place, error) {
	stream, err := q.js.Stream(ctx, schemas.StreamJobs)
	if err != nil {
		return nil, fmt.Errorf("list offers of %s: %w", pool, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(schemas.OfferFilter(pool, lane)))
	if err != nil {
		return nil, fmt.Errorf("list offers of %s: %w", pool, err)
	}
	places := make([]Place, 0, len(info.State.Subjects))
	for subject := range info.State.Subjects {
		var p Place
		if p.Pool, p.Lane, p.Tenant, p.Job, err = schemas.ParseOffer(subject); err == nil {
			places = append(places, p)
		}
	}
	return places, nil
}

// TakeBack removes the offer of a job, if there is one. It deletes the one
// message: a purge, even of one subject, moves every consumer's place in the
// stream, while others publish.
func (q *Queue) TakeBack(ctx context.Context, p Place) error {
	stream, err := q.js.Stream(ctx, schemas.StreamJobs)
	var msg *jetstream.RawStreamMsg
	if err == nil {
		msg, err = stream.GetLastMsgForSubject(ctx, p.Subject())
	}
	if err == nil {
		err = stream.DeleteMsg(ctx, msg.Sequence)
	}
	// Unsuccessful: it was acknowledged before it could be deleted.
	if err == nil || errors.Is(err, jetstream.ErrMsgNotFound) || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful) {
		return nil
	}
	return fmt.Errorf("take back offer of job %s: %w", p.Job, err)
}

// Idle is how a lane's consumer stands to the offers in its stream.
type Idle struct {
	// Pulls lie at the server: an offer would be delivered at once.
	Pulls int
	// Unacked offers were delivered and will be again, after [AckWait].
	Unacked bool
}

// Idle looks at a pool's lane; [ErrNotFound] if it has no consumer.
func (q *Queue) Idle(ctx context.Context, pool, lane string) (Idle, error) {
	consumer, err := q.js.Consumer(ctx, schemas.StreamJobs, schemas.ConsumerName(pool, lane))
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		err = ErrNotFound
	}
	if err != nil {
		return Idle{}, fmt.Errorf("look at pool %s: %w", pool, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return Idle{}, fmt.Errorf("look at pool %s: %w", pool, err)
	}
	return Idle{Pulls: info.NumWaiting, Unacked: info.NumAckPending > 0}, nil
}

// AckWait is how long an executor may take from an offer's delivery to its
// acknowledgement before the server offers the job to another one.
const AckWait = 20 * time.Second

// lanes of every pool, the first served first.
var lanes = [...]string{schemas.LaneInteractive, schemas.LaneBatch}

// priorityGroup is the one group of pulls that every consumer has.
const priorityGroup = "fit"

// EnsurePool makes the consumers of a pool, one for each lane. Only gateways may.
func (q *Queue) EnsurePool(ctx context.Context, pool string) error {
	if !schemas.ValidToken(pool) {
		return fmt.Errorf("make pool %.80q: not a subject token", pool)
	}
	for _, lane := range lanes {
		_, err := q.js.CreateOrUpdateConsumer(ctx, schemas.StreamJobs, jetstream.ConsumerConfig{
			Durable:       schemas.ConsumerName(pool, lane),
			FilterSubject: schemas.OfferFilter(pool, lane),
			AckPolicy:     jetstream.AckExplicitPolicy,
			AckWait:       AckWait,
			MaxDeliver:    -1,
			MaxAckPending: 10_000,
			MaxWaiting:    10_000,
			Replicas:      q.cfg.Replicas,
			// Of the pulls that wait, those with the lowest number are served first.
			PriorityPolicy: jetstream.PriorityPolicyPrioritized,
			PriorityGroups: []string{priorityGroup},
		})
		if err != nil {
			return fmt.Errorf("make pool %s: %w", pool, err)
		}
	}
	return nil
}

// DropPool deletes a pool's consumers and then takes back its offers, which
// nobody can get any more.
func (q *Queue) DropPool(ctx context.Context, pool string) error {
	for _, lane := range lanes {
		err := q.js.DeleteConsumer(ctx, schemas.StreamJobs, schemas.ConsumerName(pool, lane))
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("delete consumer of pool %s: %w", pool, err)
		}
		left, err := q.Offered(ctx, pool, lane)
		if err != nil {
			return err
		}
		for _, place := range left {
			if err := q.TakeBack(ctx, place); err != nil {
				return err
			}
		}
	}
	return nil
}
