package producer

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// MaxTargets bounds the targets of one comparison.
const MaxTargets = 64

// undoTimeout bounds the cancelling of jobs whose comparison cannot be.
const undoTimeout = 10 * time.Second

// A Run is one target's part of a comparison.
type Run struct {
	Target
	// Job as it was last heard of: with its result, once [Client.WaitOn] has returned.
	Job *schemas.Job `json:"job,omitempty"`
	// Problem says why an optional target was left out; Job is nil then.
	Problem *schemas.ProblemDocument `json:"problem,omitempty"`
}

// TargetError says of which target an error is.
type TargetError struct {
	Target string
	Err    error
}

func (e *TargetError) Error() string { return e.Target + ": " + e.Err.Error() }
func (e *TargetError) Unwrap() error { return e.Err }

// RunOn runs one job on several kinds of machine and compares the results:
// [Client.SubmitOn], [Client.WaitOn] and [Client.Compare] in one. If ctx ends
// after the submission, the jobs go on; [Client.CancelOn] ends them.
func (c *Client) RunOn(ctx context.Context, spec schemas.JobSpec, targets []Target) (Comparison, error) {
	runs, err := c.SubmitOn(ctx, spec, targets)
	if err != nil {
		return Comparison{}, err
	}
	if err := c.WaitOn(ctx, runs, nil); err != nil {
		return Comparison{Runs: runs}, err
	}
	return c.Compare(ctx, runs)
}

// SubmitOn posts a job once for each target, all at the same time. It is all or
// nothing: before anything is posted, targets that no known executor offers are
// an [*UnofferedError]; and if the gateway refuses one that is not optional, the
// others are cancelled, and the error is a [*TargetError].
//
// An idempotency key is extended by each target's name.
func (c *Client) SubmitOn(ctx context.Context, spec schemas.JobSpec, targets []Target) ([]Run, error) {
	return c.SubmitOnWith(ctx, spec, nil, nil, targets)
}

// SubmitOnWith is [Client.SubmitOn] for a job with inputs that are sent as
// [Client.SubmitWith] does, each once. Both in and progress may be nil.
func (c *Client) SubmitOnWith(ctx context.Context, spec schemas.JobSpec, in *Inputs, progress Progress, targets []Target) ([]Run, error) {
	if err := CheckTargets(targets); err != nil {
		return nil, err
	}
	fleet, err := c.Executors(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask who offers what: %w", err)
	}
	if err := CheckOffered(fleet, spec.Requires, targets); err != nil {
		return nil, err
	}
	runs, errs := make([]Run, len(targets)), make([]error, len(targets))
	var wg sync.WaitGroup
	for i, t := range targets {
		wg.Go(func() { runs[i], errs[i] = c.submitTo(ctx, spec, in, progress, t) })
	}
	wg.Wait()
	err = errors.Join(errs...)
	if err == nil && !anyJob(runs) {
		err = &TargetError{runs[0].Name, runs[0].Problem}
	}
	if err != nil {
		c.undo(ctx, runs)
		return nil, err
	}
	return runs, nil
}

// CheckTargets refuses none, too many, and two that are the same.
func CheckTargets(targets []Target) error {
	if len(targets) == 0 || len(targets) > MaxTargets {
		return fmt.Errorf("%d targets: want 1 to %d", len(targets), MaxTargets)
	}
	folders := map[string]string{}
	for _, t := range targets {
		if folders[t.Folder()] != "" {
			return fmt.Errorf("target %s is named twice", t.Name)
		}
		folders[t.Folder()] = t.Name
	}
	return nil
}

func (c *Client) submitTo(ctx context.Context, spec schemas.JobSpec, in *Inputs, progress Progress, t Target) (Run, error) {
	spec.Requires = t.Over(spec.Requires)
	if spec.IdempotencyKey != "" {
		spec.IdempotencyKey += "@" + t.Name
	}
	job, err := c.SubmitWith(ctx, spec, in, progress)
	if err == nil {
		return Run{Target: t, Job: &job}, nil
	}
	var p *schemas.ProblemDocument
	if t.Optional && errors.As(err, &p) && p.Status == http.StatusUnprocessableEntity {
		return Run{Target: t, Problem: p}, nil
	}
	return Run{Target: t}, &TargetError{t.Name, err}
}

func anyJob(runs []Run) bool {
	for _, r := range runs {
		if r.Job != nil {
			return true
		}
	}
	return false
}

// undo cancels what was accepted, though ctx may have ended.
func (c *Client) undo(ctx context.Context, runs []Run) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer stop()
	_ = c.CancelOn(ctx, runs) // the first error is what the caller has to know
}

// CancelOn asks for the end of all jobs of a comparison. While another goroutine
// is in WaitOn, which changes the runs, give it a copy of them.
func (c *Client) CancelOn(ctx context.Context, runs []Run) error {
	return eachJob(runs, func(_ int, r *Run) error {
		_, err := c.Cancel(ctx, r.Job.ID)
		return err
	})
}

// WaitOn waits until all jobs have ended, and puts them into runs. What happens
// to each meanwhile is told to watch, with the run's index, as [Client.Follow]
// yields it; calls for different runs overlap. A nil watch follows nothing.
func (c *Client) WaitOn(ctx context.Context, runs []Run, watch func(int, Event)) error {
	return eachJob(runs, func(i int, r *Run) error {
		if watch != nil {
			for e, err := range c.Follow(ctx, r.Job.ID) {
				if err != nil {
					return err
				}
				watch(i, e)
			}
		}
		job, err := c.Wait(ctx, r.Job.ID)
		if err == nil {
			r.Job = &job
		}
		return err
	})
}

// eachJob calls do for all runs that have a job, at the same time.
func eachJob(runs []Run, do func(int, *Run) error) error {
	errs := make([]error, len(runs))
	var wg sync.WaitGroup
	for i := range runs {
		if r := &runs[i]; r.Job != nil {
			wg.Go(func() {
				if err := do(i, r); err != nil {
					errs[i] = &TargetError{r.Name, err}
				}
			})
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}
