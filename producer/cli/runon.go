package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// runOn runs one job on several targets and shows the results side by side.
func (a *app) runOn(cmd *cobra.Command, j *jobFlags, o outputFlags, w where, args []string) error {
	ctx, leave := context.WithCancelCause(cmd.Context())
	defer leave(nil)
	submitted := make(chan func())
	go a.interrupts(ctx, leave, submitted)

	a.screen.start(a.rewritable())
	c, runs, err := a.submitOn(ctx, cmd, j, w, args)
	if err != nil {
		return err
	}
	accepted := slices.Clone(runs) // which change while they are waited for
	select {
	case submitted <- func() { a.cancelOn(ctx, c, accepted) }:
	case <-ctx.Done():
		// Interrupted while the gateway accepted them.
		a.cancelOn(ctx, c, accepted)
		return context.Cause(ctx)
	}
	if err := a.watch(ctx, c, runs); err != nil {
		return err
	}
	compared, err := c.Compare(ctx, runs)
	if err != nil {
		return err
	}
	// How they ended is told even if their files could not be had.
	notFetched := a.fetchAll(ctx, c, runs, o)
	a.screen.end()
	if err := errors.Join(a.reportOn(compared), notFetched); err != nil {
		return err
	}
	if code := runsCode(runs); code != 0 {
		return &codedError{code: code}
	}
	return nil
}

// submitOn checks the targets, sends the inputs once, and posts all jobs.
func (a *app) submitOn(ctx context.Context, cmd *cobra.Command, j *jobFlags, w where, args []string) (*producer.Client, []producer.Run, error) {
	spec, err := j.build(a, cmd.Flags(), args)
	if err != nil {
		return nil, nil, err
	}
	c, err := a.client()
	if err != nil {
		return nil, nil, err
	}
	targets, err := a.targets(ctx, c, w, spec.Requires)
	if err != nil {
		return nil, nil, err
	}
	var runs []producer.Run
	err = a.withInputs(ctx, j, spec, func(spec schemas.JobSpec, in *producer.Inputs, progress producer.Progress) (err error) {
		runs, err = c.SubmitOnWith(ctx, spec, in, progress, targets)
		return err
	})
	return c, runs, a.withNearImage(ctx, c, spec.Image, err)
}

// targets are those that are named, and all that are there if that was said.
func (a *app) targets(ctx context.Context, c *producer.Client, w where, base schemas.Requires) ([]producer.Target, error) {
	fleet, err := c.Executors(ctx)
	if err != nil {
		return nil, err
	}
	targets := w.targets
	if w.all {
		kinds := producer.Kinds(fleet, base)
		if len(kinds) == 0 {
			return nil, errors.New(nobodyThere)
		}
		targets = append(kinds, targets...)
	}
	if err := producer.CheckTargets(targets); err != nil {
		return nil, usage(fmt.Errorf("--on: %w", err))
	}
	return targets, producer.CheckOffered(fleet, base, targets)
}

func (a *app) cancelOn(ctx context.Context, c *producer.Client, runs []producer.Run) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	if err := c.CancelOn(ctx, runs); err != nil {
		a.note("cancel: %v", err)
	}
}

// watch stays until all have ended, and shows what goes on: a line for each on a
// terminal, a message for each change elsewhere.
func (a *app) watch(ctx context.Context, c *producer.Client, runs []producer.Run) error {
	names := make([]string, len(runs))
	for i, r := range runs {
		names[i] = r.Name
	}
	a.screen.list(names)
	plain := !a.rewritable()
	for i, r := range runs {
		if r.Job == nil {
			a.screen.doingAt(i, phaseEnded, leftOut)
			a.note("%s %s: %s", r.Name, leftOut, printable(r.Problem.Error()))
			continue
		}
		a.screen.doingAt(i, phaseQueued, string(r.Job.State))
		if plain {
			a.note("%s: %s", r.Name, noteJob(r.Job.ID))
		}
	}
	said := make([]string, len(runs))
	return c.WaitOn(ctx, runs, func(i int, e producer.Event) {
		switch e.Kind {
		case schemas.StreamState, schemas.StreamEnd:
			a.screen.doingAt(i, phaseOf(e.Change), changeOnly(e.Change))
			if words := plainWords(e.Change); plain && words != said[i] && words != "" {
				said[i] = words
				a.note("%s: %s", runs[i].Name, words)
			}
		case schemas.StreamStage:
			in, words := stageWords(e.Stage)
			a.screen.doingAt(i, in, words)
		}
	})
}

// fetchAll unpacks each job's outputs into a folder of its target's name. One
// that cannot be had keeps nobody from the others.
func (a *app) fetchAll(ctx context.Context, c *producer.Client, runs []producer.Run, o outputFlags) error {
	var all producer.Unpacked
	var errs []error
	folders := 0
	for _, r := range runs {
		if r.Job == nil {
			continue
		}
		// What it wrote is shown from the result as well, so this is told in any case.
		if err := lostOutputs(*r.Job); err != nil {
			errs = append(errs, &producer.TargetError{Target: r.Name, Err: err})
			continue
		}
		if r.Job.Result == nil || o.none {
			continue
		}
		if n := r.Job.Result.SkippedTotal; n > 0 && len(r.Job.Result.Skipped) > 0 {
			a.note("%s: %s", r.Name, noteSkipped(n, r.Job.Result.Skipped[0]))
		}
		if r.Job.Result.OutputsTotal == 0 {
			continue
		}
		o := outputFlags{dir: filepath.Join(o.dir, r.Folder()), keep: o.keep}
		done, err := a.unpackTo(ctx, c, r.Job.ID, o)
		if err != nil {
			errs = append(errs, &producer.TargetError{Target: r.Name, Err: elsewhere(err, r.Job.ID)})
			continue
		}
		folders++
		all.Files, all.Bytes = all.Files+done.Files, all.Bytes+done.Bytes
	}
	if folders > 0 {
		a.note("%s", noteFetchedAll(all, o.dir, folders))
	}
	return errors.Join(errs...)
}

// runsCode is the exit code for all: 130 if one was cancelled, else that of the
// first target whose job did not succeed; one that was left out does not count.
func runsCode(runs []producer.Run) int {
	first := 0
	for _, r := range runs {
		if r.Job == nil {
			continue
		}
		code := jobCode(*r.Job)
		if r.Job.State == schemas.StateCancelled {
			return code
		}
		first = cmp.Or(first, code)
	}
	return first
}
