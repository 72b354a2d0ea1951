package coordinator

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
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
	// Prepared stands for what is done to the image before its jobs run; empty for nothing.
	Prepared string
	// Request is a digest of what the client asked for, before anything was
	// chosen for it; default the specification's. With an idempotency key it
	// tells a repeated request from another one.
	Request string
	// Until is when what the client was told of its inputs has been said too long
	// ago; zero for never.
	Until time.Time
}

// Errors of a submission that the client can do something about.
var (
	// ErrKeyReused: the idempotency key came before, with another request.
	ErrKeyReused = errors.New("the idempotency key belongs to another request")
	// ErrTooSlow: the submission took so long that its inputs may be gone.
	ErrTooSlow = errors.New("the submission took too long")
)

// submitTimeout bounds what a submission may take from its specification in
// the store to its record: what a sweep spares is older by far.
const submitTimeout = time.Minute

// Submit creates the record: one synced write, and one more in the object store
// if the specification is large. created is false if the idempotency key came
// before with the same request: then the first job is returned.
func (c *Coordinator) Submit(ctx context.Context, s Submission) (rec schemas.Record, created bool, err error) {
	begin := c.cfg.Now()
	ctx, cancel := context.WithTimeout(ctx, submitTimeout)
	defer cancel()
	d, err := newDraft(begin, s)
	if err != nil {
		return d.rec, false, err
	}
	if d.rec.IdempotencyKey != "" {
		first, found, err := c.earlier(ctx, &d)
		if found || err != nil && !errors.Is(err, ErrRemoving) { // which it may be no more, later
			return repeated(first, d.rec, err)
		}
	}
	if err := c.admit(d.rec); err != nil {
		return d.rec, false, err
	}
	if err := c.storeSpec(ctx, d); err != nil {
		return d.rec, false, err
	}
	if err := c.join(ctx, &d, s); err != nil {
		return d.rec, false, err
	}
	rec, created, err = c.create(ctx, d)
	if created {
		c.metrics.submitted.Inc()
		c.metrics.submit.Observe(c.cfg.Now().Sub(begin).Seconds())
	}
	return rec, created, err
}

// Earlier finds the job that a submission's idempotency key made before, by the
// tenant, the key and the request alone: a repeated request gets it, even if it could not
// be accepted any more. [ErrKeyReused] if that request was another.
func (c *Coordinator) Earlier(ctx context.Context, s Submission) (first schemas.Record, found bool, err error) {
	if s.Spec.IdempotencyKey == "" || s.Request == "" {
		return first, false, nil
	}
	d := draft{rec: schemas.Record{Tenant: s.Tenant, IdempotencyKey: s.Spec.IdempotencyKey}}
	if err := identify(&d.rec, c.cfg.Now(), s.Request, nil); err != nil {
		return first, false, err
	}
	first, found, err = c.earlier(ctx, &d)
	if errors.Is(err, ErrRemoving) {
		return first, false, nil // which it may be no more, when it is submitted
	}
	if err != nil || !found {
		return first, false, err
	}
	first, _, err = repeated(first, d.rec, nil)
	return first, err == nil, err
}

// draft is a job that is not submitted yet.
type draft struct {
	rec schemas.Record
	// data is the record as it will be written.
	data []byte
	// spec is the specification as it will be stored; nil if the record holds it.
	spec []byte
	// looked is when the job of its idempotency key was last looked for.
	looked time.Time
	// over is the revision of the marker in whose place the record is written; 0 for none.
	over uint64
}

func newDraft(now time.Time, s Submission) (d draft, err error) {
	if !schemas.ValidToken(s.Tenant) {
		return d, fmt.Errorf("submit: tenant %.80q", s.Tenant)
	}
	if !s.Until.IsZero() && now.After(s.Until) {
		return d, ErrTooSlow
	}
	callback := ""
	if s.Spec.Callback != nil {
		callback = s.Spec.Callback.URL
		s.Spec.Callback = nil // an executor has no use for it, and it may hold a secret
	}
	spec, err := json.Marshal(s.Spec)
	if err != nil {
		return d, fmt.Errorf("encode specification: %w", err)
	}
	needs := s.Spec.Requires.Canonical()
	d.rec = schemas.Record{
		Version:        schemas.RecordVersion,
		Tenant:         s.Tenant,
		State:          schemas.StateQueued,
		Lane:           s.Spec.Lane,
		Pool:           needs.Pool(),
		Needs:          needs,
		Image:          s.Image,
		Labels:         s.Spec.Labels,
		IdempotencyKey: s.Spec.IdempotencyKey,
		CreatedUS:      now.UnixMicro(),
		QueuedUS:       now.UnixMicro(),
		WallMS:         s.Spec.Limits.WallMS,
		QueueTimeoutMS: s.Spec.QueueTimeoutMS,
		Callback:       callback,
	}
	if s.Spec.DeadlineMS != 0 {
		d.rec.DeadlineUS = d.rec.CreatedUS + s.Spec.DeadlineMS*1000
	}
	if err := identify(&d.rec, now, s.Request, spec); err != nil {
		return d, err
	}
	return d, d.fit(spec)
}

// identify gives the job an id. With an idempotency key it is derived from that
// and the tenant: two gateways that get the same request at once create the same
// key, one of them first, and no second record has to be written.
func identify(rec *schemas.Record, now time.Time, request string, spec []byte) (err error) {
	if rec.IdempotencyKey == "" {
		rec.ID, err = schemas.NewJobID(now, rand.Reader)
		return err
	}
	sum := sha256.Sum256([]byte(rec.Tenant + "\x00" + rec.IdempotencyKey))
	rec.ID, err = schemas.NewJobID(time.UnixMilli(0), &fixed{sum[:]})
	if rec.IdempotencyDigest = request; request == "" {
		rec.IdempotencyDigest = digestOf(spec)
	}
	return err
}

// fit puts the specification into the record, or, if it is large, beside it. It
// refuses a record without room for what comes later.
func (d *draft) fit(spec []byte) (err error) {
	if len(spec) <= schemas.MaxInline {
		d.rec.SpecInline = spec
		if d.data, err = encodeRecord(d.rec); err == nil && len(d.data) <= maxAdmitted {
			return nil
		}
		d.rec.SpecInline = nil
	}
	d.spec, d.rec.Spec = spec, specObject(&d.rec, spec)
	if d.data, err = encodeRecord(d.rec); err == nil && len(d.data) > maxAdmitted {
		err = fmt.Errorf("%w: %d bytes, at most %d allowed", ErrRecordTooLarge, len(d.data), maxAdmitted)
	}
	return err
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

// admit refuses what would let one tenant fill the queue: records of one tenant, all or none.
func (c *Coordinator) admit(recs ...schemas.Record) error {
	wanted, specs := map[string]bool{}, int64(0)
	for _, rec := range recs {
		wanted[rec.Pool] = true
		specs += specBytes(&rec)
	}
	tenant := recs[0].Tenant
	if err := c.roomFor(tenant, specs); err != nil {
		return err
	}
	may := c.Limits(tenant)
	queued, pools, wait := c.state.usage(tenant, c.cfg.PoolIdle)
	if queued+len(recs) > may.Queued {
		return full(wait, "%d jobs are queued, at most %d may be", queued, may.Queued)
	}
	if fresh := without(wanted, pools); len(fresh) > 0 && len(pools)+len(fresh) > may.Pools {
		return full(c.cfg.PoolIdle, "%d different requirements are in use, or were less than %s ago; at most %d may be",
			len(pools), c.cfg.PoolIdle, may.Pools)
	}
	if fresh, n := c.feeder.Fresh(without(wanted, pools)); fresh > 0 && n+fresh > maxAllPools {
		return full(c.cfg.PoolIdle, "all tenants together use %d different requirements", n)
	}
	return nil
}

// without is a set without another one's elements.
func without(set, other map[string]bool) map[string]bool {
	rest := maps.Clone(set)
	maps.DeleteFunc(rest, func(element string, _ bool) bool { return other[element] })
	return rest
}

// removePatience is how long a submission waits for the objects of its key's last job to go.
const (
	removePatience = 2 * time.Second
	removePoll     = 20 * time.Millisecond
)

func (c *Coordinator) create(ctx context.Context, d draft) (schemas.Record, bool, error) {
	for begin := time.Now(); ; {
		rev, err := c.createOnce(ctx, &d)
		if err == nil {
			c.created(rev, d.rec)
			return d.rec, true, nil
		}
		if !errors.Is(err, jobqueue.ErrConflict) {
			return d.rec, false, err
		}
		first, found, err := c.earlier(ctx, &d)
		if found || err != nil && !errors.Is(err, ErrRemoving) {
			return repeated(first, d.rec, err)
		}
		if time.Since(begin) > removePatience || !pause(ctx, removePoll) {
			return d.rec, false, fmt.Errorf("submit: %w", ErrRemoving)
		}
	}
}

// createOnce writes the record; [jobqueue.ErrConflict] also if its key has to be looked for again.
func (c *Coordinator) createOnce(ctx context.Context, d *draft) (rev uint64, err error) {
	if d.unlooked() {
		return 0, jobqueue.ErrConflict
	}
	if d.rec.IdempotencyKey != "" {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, keyPublish)
		defer cancel()
	}
	return c.queue.Jobs.Update(ctx, schemas.RecordKey(d.rec.Tenant, d.rec.ID), d.data, d.over)
}

// created does what follows from the creation of records of one tenant, once they are written:
// the first of them at this revision, and each at the next.
func (c *Coordinator) created(rev uint64, recs ...schemas.Record) {
	leaders := map[string]bool{}
	for i, rec := range recs {
		c.learn(rec, rev+uint64(i))
		switch {
		case rec.State.Terminal(): // it has an earlier job's result
			c.cfg.OnEnded(rec, rev+uint64(i), true)
		case rec.Follows != "":
			leaders[rec.Follows] = true
		}
	}
	for leader := range leaders {
		// It may have ended before its followers could be seen.
		c.later(func(ctx context.Context) { c.settleFollowers(ctx, recs[0].Tenant, leader) })
	}
}

// repeated compares a submission with the job that its key made before.
func repeated(first, again schemas.Record, err error) (schemas.Record, bool, error) {
	if err != nil {
		return again, false, err
	}
	if first.IdempotencyDigest != again.IdempotencyDigest {
		return first, false, fmt.Errorf("%w: job %s", ErrKeyReused, first.ID)
	}
	return first, false, nil
}
