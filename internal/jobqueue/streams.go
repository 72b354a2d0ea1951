package jobqueue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/program-explorer/pe/schemas"
)

const (
	maxOfferBytes  = 64 << 10
	maxCacheBytes  = 1 << 10
	maxRecordBytes = schemas.MaxRecordBytes + 4<<10 // headers count too
	// MaxEventBytes bounds an event in JSON.
	MaxEventBytes = 32 << 10
	// OfferWindow is how long the server knows an offer's id: two gateways that
	// feed the same job in it store one message, whatever became of it.
	OfferWindow = 30 * time.Second
	// DeliveryAge is how long a delivery is kept after its last write: nobody is
	// told when it goes.
	DeliveryAge = 8 * 24 * time.Hour
)

// EnsureStreams makes or updates the streams and buckets; only gateways call
// it. It also asks the server whether it syncs every write. While the server is
// away it tries again, as [Connect] does; it fails when ctx ends, or when the
// server says that it will not have a stream.
func (q *Queue) EnsureStreams(ctx context.Context) error {
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := q.ensureStreams(ctx)
		if err == nil || !passes(err) {
			return err
		}
		q.log.Warn("streams not made yet; trying again until they are", "err", err)
		if !sleep(ctx, pause) {
			return errors.Join(context.Cause(ctx), err)
		}
	}
}

// codeNoRoom is JSStorageResourcesExceededErr: the stream's bound is more than the
// server may ever store.
const codeNoRoom jetstream.ErrorCode = 10047

// passes reports whether the server may do later what it did not do now: it was
// not reached, has no leader, or its disk is full.
func passes(err error) bool {
	api := apiError(err)
	return api == nil || api.Code >= 500 && api.ErrorCode != codeNoRoom
}

func (q *Queue) ensureStreams(ctx context.Context) error {
	before, err := q.closeEventsBefore(ctx)
	if err != nil {
		return err
	}
	for _, c := range q.streams() {
		if _, err := q.js.CreateOrUpdateStream(ctx, c); err != nil {
			return fmt.Errorf("make stream %s: %w", c.Name, err)
		}
	}
	if err := q.keepFile(ctx); err != nil {
		return err
	}
	q.checkSync(ctx)
	return q.adoptEvents(ctx, before)
}

// EnsureTokens makes the bucket of access tokens if there is none, and changes
// nothing that is there: for an operator who makes the first token before the
// first gateway has run.
func (q *Queue) EnsureTokens(ctx context.Context) error {
	c := q.bucketStream(bucketTokens)
	if _, err := q.js.CreateStream(ctx, c); err != nil && !errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return fmt.Errorf("make stream %s: %w", c.Name, err)
	}
	return nil
}

func (q *Queue) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name:        schemas.StreamJobs,
			Description: "offers of jobs; the record in the bucket owns the job",
			Subjects:    []string{schemas.OffersAll},
			Storage:     jetstream.FileStorage,
			Replicas:    q.cfg.Replicas,
			Retention:   jetstream.WorkQueuePolicy,
			// Without both flags a second offer of a job would silently replace the first.
			Discard:              jetstream.DiscardNew,
			DiscardNewPerSubject: true,
			MaxMsgsPerSubject:    1,
			MaxMsgSize:           maxOfferBytes,
			Duplicates:           OfferWindow,
		},
		{
			Name:        schemas.StreamEvents,
			Description: "ends of attempts",
			Subjects:    []string{schemas.EventsAll},
			Storage:     jetstream.FileStorage,
			Replicas:    q.cfg.Replicas,
			// What a gateway has handled is gone: old news must not keep new ones out.
			Retention:  jetstream.WorkQueuePolicy,
			Discard:    jetstream.DiscardNew,
			MaxBytes:   q.cfg.EventBytes,
			MaxMsgSize: MaxEventBytes,
			Duplicates: 2 * time.Minute,
		},
		q.bucketStream(bucketJobs),
		q.bucketStream(bucketPools),
		q.bucketStream(bucketExecs),
		q.bucketStream(bucketTokens),
		q.cacheStream(),
		q.retiringStream(bucketWebhooks),
		q.deliveryStream(),
		q.retiringStream(bucketCampaigns),
		q.bucketStream(bucketSweep),
		q.retiringStream(bucketHistory),
	}
}

// bucketStream is what nats.go makes of a bucket, with one difference: no
// direct gets, which any replica answers and which may be stale. Every get here
// comes before a decision.
func (q *Queue) bucketStream(bucket string) jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name:              "KV_" + bucket,
		Subjects:          []string{"$KV." + bucket + ".>"},
		Storage:           jetstream.FileStorage,
		Replicas:          q.cfg.Replicas,
		MaxMsgsPerSubject: 1,
		MaxMsgSize:        maxBucketValue(bucket),
		Discard:           jetstream.DiscardNew,
		DenyDelete:        true,
		AllowRollup:       true,
		AllowDirect:       false,
		// A batch of submissions is one synced write.
		AllowAtomicPublish: bucket == bucketJobs,
	}
}

func (q *Queue) deliveryStream() jetstream.StreamConfig {
	c := q.bucketStream(bucketDeliveries)
	c.MaxAge = DeliveryAge
	c.AllowMsgTTL = true // for those that go earlier
	return c
}

// retiringStream is a bucket whose markers go by themselves: see [Bucket.Retire].
func (q *Queue) retiringStream(bucket string) jetstream.StreamConfig {
	c := q.bucketStream(bucket)
	c.AllowMsgTTL = true
	return c
}

// cacheStream is a bucket whose entries go by themselves, but for those of
// [Bucket.UpdateForever]: nothing is lost with one but time.
func (q *Queue) cacheStream() jetstream.StreamConfig {
	c := q.bucketStream(bucketCache)
	c.MaxAge = q.cfg.CacheAge
	c.AllowMsgTTL = true // for the entries that stay
	c.MaxMsgSize = maxCacheBytes
	return c
}

func maxBucketValue(bucket string) int32 {
	switch bucket {
	case bucketJobs:
		return maxRecordBytes
	case bucketHistory:
		return schemas.MaxHistoryBytes + 4<<10
	}
	return 64 << 10
}

// codeStoreFailed is JSStreamStoreFailedF: its description is the store's error.
// codeDuplicateInProcess is JSStreamDuplicateMessageConflict: in a cluster, a message
// of the same id is on its way to being stored.
const (
	codeStoreFailed        jetstream.ErrorCode = 10077
	codeDuplicateInProcess jetstream.ErrorCode = 10158
	maxPerSubjectError                         = "maximum messages per subject exceeded"
)

func apiError(err error) *jetstream.APIError {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return api
	}
	var js jetstream.JetStreamError
	if errors.As(err, &js) {
		return js.APIError()
	}
	return nil
}
