package coordinator

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/schemas"
)

// verdict is what became of an event.
type verdict string

const (
	verdictAccepted verdict = "accepted" // the job took its step
	verdictRepeated verdict = "repeated" // it had taken it before
	verdictRefused  verdict = "refused"  // the attempt does not hold the job
	verdictAgain    verdict = "again"    // it cannot be told now
)

// againPause is before an event that could not be judged is delivered again.
const againPause = 2 * time.Second

// event judges the report of an attempt's end.
func (c *Coordinator) event(ctx context.Context, name jobqueue.EventName, e schemas.Event) jobqueue.Verdict {
	v := c.settle(ctx, name, e)
	c.metrics.events.WithLabelValues(string(v)).Inc()
	if v == verdictAgain {
		return jobqueue.Verdict{Retry: againPause}
	}
	return jobqueue.Verdict{}
}

// errRepeated: this event was accepted before.
var errRepeated = errors.New("accepted already")

// settle accepts or refuses an event. Accepted is only what comes from the
// attempt that holds the job; the compare-and-set decides, not the order of arrival.
func (c *Coordinator) settle(ctx context.Context, name jobqueue.EventName, e schemas.Event) verdict {
	log := c.log.With("job", name.Job, "attempt", name.Attempt, "executor", name.Executor, "kind", string(name.Kind))
	checked := false
	rec, err := c.change(ctx, e.Tenant, name.Job, func(rec *schemas.Record) error {
		if err := mayReport(rec, name, e.Nonce); err != nil {
			return err
		}
		if !checked && e.Outcome != nil && !rec.Cancel {
			if err := c.checkObjects(ctx, rec, name, &e); err != nil {
				return err
			}
			checked = true
		}
		if e.Failure != nil {
			c.rules.fail(rec, c.cfg.Now(), bounded(e.Failure))
		} else {
			c.rules.accept(rec, c.cfg.Now(), e)
		}
		return nil
	})
	switch {
	case err == nil:
		log.Info("attempt ended", "state", string(rec.State))
		c.ended(rec)
		return verdictAccepted
	case errors.Is(err, errRepeated):
		return verdictRepeated
	case errors.Is(err, errNotHeld) || isNotFound(err):
		log.Warn("report refused", "err", err)
		c.sweepLate(rec, name, e)
		return verdictRefused
	default:
		log.Error("report not judged yet", "err", err)
		return verdictAgain
	}
}

func mayReport(rec *schemas.Record, name jobqueue.EventName, nonce string) error {
	if holds(rec, name.Executor, name.Attempt) && rec.Current().Nonce == nonce {
		return nil
	}
	for _, a := range rec.Attempts {
		if a.N == name.Attempt && a.Executor == name.Executor && a.Nonce == nonce && a.EndedUS != 0 &&
			(a.Failure == nil || a.Failure.Code != schemas.FailLost) {
			return errRepeated
		}
	}
	return errNotHeld
}

// bounded takes a failure from an executor: what the code says of retries counts.
func bounded(f *schemas.Failure) *schemas.Failure {
	code := f.Code
	if !slices.Contains(schemas.FailureCodes, code) {
		code = schemas.FailInternal
	}
	return schemas.NewFailure(code, f.Message)
}

// checkObjects makes sure that what a result names is in the store as it says.
// If it is not, the event becomes a failure. An error means that the store could not tell.
func (c *Coordinator) checkObjects(ctx context.Context, rec *schemas.Record, name jobqueue.EventName, e *schemas.Event) error {
	var err error
	for _, want := range []struct {
		object *schemas.Object
		name   string
	}{{e.Result, schemas.ObjectResult}, {e.Archive, schemas.ObjectArchive}, {e.Index, schemas.ObjectIndex}} {
		if err == nil && want.object != nil {
			key := schemas.AttemptKey(rec.Tenant, rec.ID, name.Attempt, want.name)
			err = c.checkObject(ctx, key, *want.object)
		}
	}
	var bad badReport
	if !errors.As(err, &bad) {
		return err
	}
	e.Outcome, e.Result, e.Archive, e.Index = nil, nil, nil, nil
	e.Failure = schemas.NewFailure(schemas.FailUpload, string(bad))
	return nil
}

// badReport says what is wrong with a result.
type badReport string

func (b badReport) Error() string { return string(b) }

func (c *Coordinator) checkObject(ctx context.Context, key string, o schemas.Object) error {
	info, err := c.store.Stat(ctx, key)
	if errors.Is(err, objstore.ErrNotFound) {
		return badReport(o.Name + " is not in the object store")
	}
	if err != nil {
		return fmt.Errorf("stat %s: %w", key, err)
	}
	if info.Size != o.Size || info.SHA256 != "" && schemas.DigestPrefix+info.SHA256 != o.SHA256 {
		return badReport(fmt.Sprintf("%s in the object store is not what was reported", o.Name))
	}
	return nil
}
