package coordinator

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// Errors of bringing a dead job back, or of dropping it.
var (
	// ErrNotDead: only dead jobs are retried and dropped.
	ErrNotDead = errors.New("the job is not dead")
	// ErrObjectsGone: what the job needs is not in the object store any more.
	ErrObjectsGone = errors.New("what the job needs is gone")
)

// Retry queues a dead job again, as a person asks: the same job, with its tries
// before it. Its attempts before do not count any more, but their numbers do:
// they are the fence. Errors: [ErrNotFound], [ErrNotDead], [ErrObjectsGone],
// [ErrDeadlineOver], and [ErrTooMany] as for a new job.
func (c *Coordinator) Retry(ctx context.Context, tenant, job string) (schemas.Record, error) {
	rec, err := c.dead(ctx, tenant, job)
	if err != nil {
		return rec, err
	}
	if err := c.complete(ctx, rec); err != nil {
		return rec, err
	}
	if err := c.admit(rec); err != nil {
		return rec, err
	}
	rec, err = c.change(ctx, tenant, job, func(rec *schemas.Record) error {
		if rec.State != schemas.StateDead {
			return notDead(*rec)
		}
		return c.rules.revive(rec, c.cfg.Now())
	})
	if err == nil {
		c.log.Info("dead job is queued again", "job", job, "forgiven", rec.Forgiven)
	}
	return rec, err
}

// Drop removes a dead job and its objects for good, as a person asks, and
// returns its last record. Errors: [ErrNotFound], [ErrNotDead].
func (c *Coordinator) Drop(ctx context.Context, tenant, job string) (schemas.Record, error) {
	for range maxTries {
		rec, err := c.dead(ctx, tenant, job)
		if err != nil {
			return rec, err
		}
		err = c.remove(ctx, rec)
		if !errors.Is(err, errChanged) && !errors.Is(err, ErrNotEnded) { // it may have been brought back
			return rec, err
		}
	}
	return schemas.Record{}, fmt.Errorf("drop job %s: %w", job, errContended)
}

// dead reads a job that must be dead.
func (c *Coordinator) dead(ctx context.Context, tenant, job string) (schemas.Record, error) {
	rec, err := c.Get(ctx, tenant, job)
	if err == nil && rec.State != schemas.StateDead {
		err = notDead(rec)
	}
	return rec, err
}

func notDead(rec schemas.Record) error {
	return fmt.Errorf("job %s is %s: %w", rec.ID, rec.State, ErrNotDead)
}

// complete makes sure that a job could be run: its specification and its inputs are there.
func (c *Coordinator) complete(ctx context.Context, rec schemas.Record) error {
	spec, err := c.spec(ctx, &rec)
	if errors.Is(err, errSpecGone) {
		return fmt.Errorf("specification of job %s: %w", rec.ID, ErrObjectsGone)
	}
	if err != nil {
		return err
	}
	needs := map[string]string{} // object key → what it is
	if rec.SpecInline == nil {
		needs[rec.SpecKey()] = "specification" // which may be known here, and yet not be there
	}
	for name, f := range spec.Files {
		if sum, err := schemas.ParseDigest(f.SHA256); err == nil {
			needs[schemas.InputKey(rec.Tenant, sum)] = "input " + name
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(listReads)
	for key, what := range needs {
		group.Go(func() error {
			_, err := c.store.Stat(ctx, key)
			if errors.Is(err, objstore.ErrNotFound) {
				return fmt.Errorf("%s of job %s: %w", what, rec.ID, ErrObjectsGone)
			}
			return err
		})
	}
	return group.Wait()
}

// revive queues a dead job again. Of its attempts as many stay as leave room for
// new ones, the last in any case: the next number follows it.
func (rules) revive(rec *schemas.Record, now time.Time) error {
	if pastDeadline(rec, now) {
		return fmt.Errorf("job %s was to end by %s: %w", rec.ID, instant(rec.DeadlineUS), ErrDeadlineOver)
	}
	rec.State, rec.QueuedUS = schemas.StateQueued, now.UnixMicro()
	rec.EndedUS, rec.NotBeforeUS, rec.Failure, rec.Follows = 0, 0, nil, ""
	if n := len(rec.Attempts); n > 0 {
		rec.Forgiven = rec.Attempts[n-1].N
	}
	for len(rec.Attempts) > 1 {
		if data, err := marshalRecord(*rec); err != nil || len(data) <= maxAdmitted {
			return err
		}
		rec.Attempts = rec.Attempts[1:]
	}
	return nil
}
