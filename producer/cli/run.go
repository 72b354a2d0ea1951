package cli

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// cancelTimeout is how long a cancel request may take after Ctrl-C.
const cancelTimeout = 10 * time.Second

func (a *app) runCommand() *cobra.Command {
	var j jobFlags
	var o outputFlags
	cmd := &cobra.Command{
		Use: "run --image IMAGE [flags] [--] [ARG...]", Short: runShort, Long: runLong, Example: runExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			where, err := parseOn(j.on)
			if err != nil {
				return asRun(usage(err))
			}
			if where.several() {
				return asRun(a.runOn(cmd, &j, o, where, args))
			}
			return asRun(a.run(cmd, &j, o, args))
		},
	}
	j.add(a, cmd)
	o.add(cmd.Flags(), "output")
	cmd.Flags().BoolVar(&o.none, "no-output", false, helpNoOutput)
	cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return asRun(usage(errors.New(flagText(cmd.CommandPath(), err))))
	})
	return cmd
}

func (a *app) submitCommand() *cobra.Command {
	var j jobFlags
	var b batchFlags
	cmd := &cobra.Command{
		Use: submitUse, Short: submitShort, Long: submitLong, Example: submitExample,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := b.check(cmd, args); err != nil {
				return err
			}
			if b.file != "" {
				return a.submitBatch(cmd.Context(), b)
			}
			if where, err := parseOn(j.on); err == nil && where.several() {
				return usage(errors.New(onlyRunCompares))
			}
			_, job, err := a.submit(cmd.Context(), cmd, &j, args)
			if err != nil {
				return err
			}
			if a.json {
				return a.print(job)
			}
			if job.Cached != nil {
				a.note("%s", noteCached(*job.Cached))
			}
			return a.write([]byte(job.ID + "\n"))
		},
	}
	j.add(a, cmd)
	cmd.Flags().Lookup("on").Usage = flagOnOne
	b.add(cmd.Flags())
	return cmd
}

// submit sends inputs and posts the job.
func (a *app) submit(ctx context.Context, cmd *cobra.Command, j *jobFlags, args []string) (*producer.Client, schemas.Job, error) {
	spec, err := j.build(a, cmd.Flags(), args)
	if err != nil {
		return nil, schemas.Job{}, err
	}
	c, err := a.client()
	if err != nil {
		return nil, schemas.Job{}, err
	}
	var job schemas.Job
	err = a.withInputs(ctx, j, spec, func(spec schemas.JobSpec, in *producer.Inputs, progress producer.Progress) (err error) {
		job, err = c.SubmitWith(ctx, spec, in, progress)
		return err
	})
	return c, job, a.withNearImage(ctx, c, spec.Image, err)
}

func (a *app) run(cmd *cobra.Command, j *jobFlags, o outputFlags, args []string) error {
	ctx, leave := context.WithCancelCause(cmd.Context())
	defer leave(nil)
	submitted := make(chan func())
	go a.interrupts(ctx, leave, submitted)

	a.screen.start(a.rewritable())
	c, job, err := a.submit(ctx, cmd, j, args)
	if err != nil {
		return err
	}
	select {
	case submitted <- func() { a.cancelJob(ctx, c, job.ID) }:
	case <-ctx.Done():
		// Interrupted while the gateway accepted it.
		a.cancelJob(ctx, c, job.ID)
		return context.Cause(ctx)
	}
	if !a.json {
		if err := a.showOutput(ctx, c, job.ID); err != nil {
			if errors.As(err, new(*writeError)) {
				a.cancelJob(ctx, c, job.ID) // nobody reads what it writes: pe run … | head
			}
			return err
		}
	}
	if job, err = c.Wait(ctx, job.ID); err != nil {
		return err
	}
	// How it ended is told even if its files could not be had.
	if err := a.fetchOutputs(ctx, c, job, o); err != nil {
		_ = a.finish(job)
		return err
	}
	if job.Cached != nil {
		a.note("%s", noteCached(*job.Cached))
	}
	if endWords(job) == "" { // else its id is told with them
		a.note("%s", noteJob(job.ID))
	}
	return a.finish(job)
}

// finish says how the job ended, and returns its exit code.
func (a *app) finish(job schemas.Job) error {
	a.screen.end()
	if a.json {
		if err := a.print(job); err != nil {
			return err
		}
	} else if words := endWords(job); words != "" {
		a.screen.say(words + whereMore(words, job.ID))
	}
	if code := jobCode(job); code != 0 {
		return &codedError{code: code}
	}
	return nil
}

// interrupts cancels the job at the first signal and leaves at the second; with
// no job yet, it leaves at the first.
func (a *app) interrupts(ctx context.Context, leave context.CancelCauseFunc, submitted <-chan func()) {
	var cancel func()
	for {
		select {
		case <-ctx.Done():
			return
		case cancel = <-submitted:
		case <-a.Signals:
			if cancel == nil {
				leave(errInterrupted)
				return
			}
			a.note(noteCancelling)
			go cancel()
			select {
			case <-ctx.Done():
			case <-a.Signals:
				a.note(noteLeaving)
				leave(errInterrupted)
			}
			return
		}
	}
}

func (a *app) cancelJob(ctx context.Context, c *producer.Client, id string) {
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), cancelTimeout)
	defer stop()
	if _, err := c.Cancel(ctx, id); err != nil {
		a.note("cancel job %s: %v", id, err)
	}
}

// showOutput passes on what the job writes until it has ended.
func (a *app) showOutput(ctx context.Context, c *producer.Client, id string) error {
	s := stream{app: a, job: id}
	for e, err := range c.Follow(ctx, id) {
		if err != nil {
			return err
		}
		if err := s.show(e); err != nil {
			return err
		}
	}
	return nil
}

// writeError says that what a job wrote could not be passed on.
type writeError struct{ err error }

func (e *writeError) Error() string { return e.err.Error() }
func (e *writeError) Unwrap() error { return e.err }

// stream is how far the output of a job has been shown.
type stream struct {
	*app
	job     string
	attempt int
	shown   map[string]int64
}

func (s *stream) show(e producer.Event) error {
	switch e.Kind {
	case schemas.StreamState, schemas.StreamEnd:
		s.screen.doing(changeWords(e.Change))
		if e.Change.Attempt != s.attempt {
			if len(s.shown) > 0 {
				s.note("%s", noteAgain(e.Change.Attempt))
			}
			s.attempt, s.shown = e.Change.Attempt, nil
		}
		if e.Change.OutputLost {
			s.screen.say(noteOutputLost(s.job))
		}
	case schemas.StreamStage:
		s.screen.doing(stageWords(e.Stage))
	case schemas.StreamStdout, schemas.StreamStderr:
		if s.shown == nil {
			s.shown = map[string]int64{}
		}
		if lost := e.Offset - s.shown[e.Kind]; lost > 0 {
			s.note("%s", noteLost(lost, e.Kind))
		}
		s.shown[e.Kind] = e.Offset + int64(len(e.Data))
		if err := s.screen.output(e.Kind == schemas.StreamStderr, e.Data); err != nil {
			return &writeError{err}
		}
	}
	return nil
}
