package coordinator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Submission is a job to be.
type Submission struct {
	Tenant string
	// Spec is valid, with its defaults, and names an architecture.
	Spec schemas.JobSpec
	// Image is what the specification's image was resolved to.
	Image schemas.ImageRef
	// Request is a digest of what the client asked for, before anything was
	// chosen for it; default the specification's. With an idempotency key it
	// tells a repeated request from another one.
	Request string
}

// Errors of a submission that the client can do something about.
var (
	// ErrKeyReused: the idempotency key came before, with another request.
	ErrKeyReused = errors.New("the idempotency key belongs to another request")
	// ErrTooMany: the tenant has too many queued jobs, or too many different requirements.
	ErrTooMany = errors.New("too many jobs are queued")
)

// Submit writes the specification and creates the record: one synced write of
// each store. created is false if the idempotency key came before with the same
// request: then the first job is returned.
func (c *Coordinator) Submit(ctx context.Context, s Submission) (rec schemas.Record, created bool, err error) {
	begin := c.cfg.Now()
	rec, data, err := newRecord(begin, s)
	if err != nil {
		return rec, false, err
	}
	if rec.IdempotencyKey != "" {
		first, err := c.Get(ctx, rec.Tenant, rec.ID)
		if err == nil || !isNotFound(err) {
			return c.repeated(first, rec, err)
		}
	}
	if err := c.admit(&rec); err != nil {
		return rec, false, err
	}
	if err := c.storeSpec(ctx, &rec, data); err != nil {
		return rec, false, err
	}
	rec, created, err = c.create(ctx, rec)
	if created {
		c.metrics.submitted.Inc()
		c.metrics.submit.Observe(c.cfg.Now().Sub(begin).Seconds())
	}
	return rec, created, err
}

func newRecord(now time.Time, s Submission) (rec schemas.Record, spec []byte, err error) {
	if !schemas.ValidToken(s.Tenant) {
		return rec, nil, fmt.Errorf("submit: tenant %.80q", s.Tenant)
	}
	if spec, err = json.Marshal(s.Spec); err != nil {
		return rec, nil, fmt.Errorf("encode specification: %w", err)
	}
	needs := s.Spec.Requires.Canonical()
	rec = schemas.Record{
		Version:        schemas.RecordVersion,
		Tenant:         s.Tenant,
		State:          schemas.StateQueued,
		Lane:           s.Spec.Lane,
		Pool:           needs.Pool(),
		Needs:          needs,
		Image:          s.Image,
		Spec:           schemas.Object{Name: specName, Size: int64(len(spec)), SHA256: digestOf(spec)},
		Labels:         s.Spec.Labels,
		IdempotencyKey: s.Spec.IdempotencyKey,
		CreatedUS:      now.UnixMicro(),
		QueuedUS:       now.UnixMicro(),
		WallMS:         s.Spec.Limits.WallMS,
		QueueTimeoutMS: s.Spec.QueueTimeoutMS,
	}
	if rec.IdempotencyKey == "" {
		rec.ID, err = schemas.NewJobID(now, rand.Reader)
		return rec, spec, err
	}
	return rec, spec, identify(&rec, s)
}

// identify derives the job's id from tenant and key. So two gateways that get
// the same request at once create the same key, one of them first, and no
// second record has to be written. Each request's specification gets a name of
// its own: the loser must not overwrite the winner's.
func identify(rec *schemas.Record, s Submission) (err error) {
	sum := sha256.Sum256([]byte(s.Tenant + "\x00" + s.Spec.IdempotencyKey))
	rec.ID, err = schemas.NewJobID(time.UnixMilli(0), &fixed{sum[:]})
	if rec.IdempotencyDigest = s.Request; rec.IdempotencyDigest == "" {
		rec.IdempotencyDigest = rec.Spec.SHA256
	}
	digits, parseErr := schemas.ParseDigest(rec.Spec.SHA256)
	rec.Spec.Name = "spec-" + digits + ".json"
	return errors.Join(err, parseErr)
}

// fixed gives the same bytes in place of randomness.
type fixed struct{ rest []byte }

func (f *fixed) Read(p []byte) (int, error) {
	if len(f.rest) == 0 {
		return 0, io.EOF
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// maxAllPools bounds the pools of all tenants: every heartbeat's answer lists
// those that its executor serves.
const maxAllPools = 4096

// admit refuses what would let one tenant fill the queue, and records without
// room for what comes later.
func (c *Coordinator) admit(rec *schemas.Record) error {
	data, err := encodeRecord(*rec)
	if err == nil && len(data) > maxAdmitted {
		err = fmt.Errorf("%w: %d bytes, at most %d allowed", ErrRecordTooLarge, len(data), maxAdmitted)
	}
	if err != nil {
		return err
	}
	queued, uses, pools := c.state.usage(rec.Tenant, rec.Pool, c.cfg.PoolIdle)
	if queued >= c.cfg.MaxQueued {
		return fmt.Errorf("%w: %d are, at most %d may be", ErrTooMany, queued, c.cfg.MaxQueued)
	}
	if !uses && pools >= c.cfg.MaxPools {
		return fmt.Errorf("%w: %d different requirements are in use, or were less than %s ago; at most %d may be",
			ErrTooMany, pools, c.cfg.PoolIdle, c.cfg.MaxPools)
	}
	if n, exists := c.feeder.count(rec.Pool); !exists && n >= maxAllPools {
		return fmt.Errorf("%w: all tenants together use %d different requirements", ErrTooMany, n)
	}
	return nil
}

func (c *Coordinator) create(ctx context.Context, rec schemas.Record) (schemas.Record, bool, error) {
	data, err := encodeRecord(rec)
	if err != nil {
		return rec, false, err
	}
	rev, err := c.queue.Jobs.Create(ctx, schemas.RecordKey(rec.Tenant, rec.ID), data)
	if err == nil {
		c.learn(rec, rev)
		return rec, true, nil
	}
	if !errors.Is(err, jobqueue.ErrConflict) {
		return rec, false, err
	}
	first, _, err := c.read(ctx, rec.Tenant, rec.ID)
	return c.repeated(first, rec, err)
}

// repeated compares a submission with the job that its key made before.
func (c *Coordinator) repeated(first, again schemas.Record, err error) (schemas.Record, bool, error) {
	if err != nil {
		return again, false, err
	}
	if first.IdempotencyDigest != again.IdempotencyDigest {
		return first, false, fmt.Errorf("%w: job %s", ErrKeyReused, first.ID)
	}
	return first, false, nil
}
