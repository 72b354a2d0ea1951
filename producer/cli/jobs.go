package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

func (a *app) waitCommand() *cobra.Command {
	return &cobra.Command{
		Use: "wait JOB", Short: waitShort, Long: waitLong, Example: waitExample, Args: runArgs(exactly(1, "JOB")),
		RunE: func(cmd *cobra.Command, args []string) error {
			return asRun(a.wait(cmd.Context(), args[0]))
		},
	}
}

// runArgs gives wrong arguments the exit code of run's failures.
func runArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error { return asRun(check(cmd, args)) }
}

func (a *app) wait(ctx context.Context, id string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	a.screen.start(a.rewritable())
	a.screen.doing(phaseRunning, "waiting")
	job, err := c.Wait(ctx, id)
	if err != nil {
		return err
	}
	return a.finish(job)
}

func (a *app) logsCommand() *cobra.Command {
	follow := false
	cmd := &cobra.Command{
		Use: "logs JOB", Short: logsShort, Long: logsLong, Example: logsExample, Args: exactly(1, "JOB"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.logs(cmd.Context(), args[0], follow) },
	}
	cmd.Flags().BoolVarP(&follow, "follow", "f", false, helpFollow)
	return cmd
}

func (a *app) logs(ctx context.Context, id string, follow bool) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	s := stream{app: a, job: id}
	if !follow {
		return errors.Join(s.sofar(ctx, c, id, schemas.StreamStdout), s.sofar(ctx, c, id, schemas.StreamStderr))
	}
	for e, err := range c.Follow(ctx, id) {
		if err != nil {
			return err
		}
		if err := s.pass(e); err != nil {
			return err
		}
		if e.Change.OutputLost {
			return &codedError{code: exitServer}
		}
	}
	return nil
}

// sofar passes on what a job has written to one stream.
func (s *stream) sofar(ctx context.Context, c *producer.Client, id, kind string) error {
	log, err := c.Log(ctx, id, kind)
	if err != nil {
		return err
	}
	defer log.Close()
	buf := make([]byte, 32<<10)
	for offset := int64(0); ; {
		n, err := log.Read(buf)
		if n > 0 {
			if err := s.pass(producer.Event{Kind: kind, Offset: offset, Data: buf[:n]}); err != nil {
				return err
			}
		}
		offset += int64(n)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read %s of job %s: %w", kind, id, err)
		}
	}
}

// pass shows an event, or prints it as JSON.
func (s *stream) pass(e producer.Event) error {
	if s.json {
		return s.printEvent(e)
	}
	return s.show(e)
}

func (a *app) cancelCommand() *cobra.Command {
	return &cobra.Command{
		Use: "cancel JOB...", Short: cancelShort, Example: cancelExample, Args: someJobs,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			return a.each(args, func(id string) error {
				job, err := c.Cancel(cmd.Context(), id)
				if err != nil {
					return fmt.Errorf("cancel job %s: %w", printable(id), err)
				}
				return a.tellDone(job, cancelWords(job))
			})
		},
	}
}

func (a *app) jobsCommand() *cobra.Command {
	var states, labels []string
	limit := 20
	cmd := &cobra.Command{
		Use: "jobs", Short: jobsShort, Example: jobsExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := selected(states, labels)
			if err != nil {
				return err
			}
			return a.listJobs(cmd.Context(), f, limit)
		},
	}
	cmd.Flags().StringArrayVar(&states, "state", nil, helpState)
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, helpHasLabel)
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, helpLimit)
	return cmd
}

// selected is what --state and --label select.
func selected(states, labels []string) (f producer.Filter, err error) {
	for _, s := range states {
		if !schemas.State(s).Valid() {
			return f, usage(fmt.Errorf("--state %s: want one of %s", printable(s), joinStates()))
		}
		f.States = append(f.States, schemas.State(s))
	}
	return f, pairs(&f.Labels, "label", labels)
}

func joinStates() string {
	names := make([]string, 0, len(schemas.States))
	for _, s := range schemas.States {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

func (a *app) listJobs(ctx context.Context, f producer.Filter, limit int) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	jobs, err := listed(ctx, c, f, limit)
	if err != nil {
		return err
	}
	if a.json {
		return a.print(schemas.JobList{Jobs: jobs})
	}
	t := a.table("JOB", "STATE", "IMAGE", "CREATED", "TOOK", "LABELS")
	now := a.now()
	for _, job := range jobs {
		t.add(job.ID, stateWords(job), shortImage(job.Image.Reference), formatAge(now, job.Created), tookWords(job, now), labelWords(job.Labels))
	}
	return t.write()
}

// listed is up to limit jobs, all for 0.
func listed(ctx context.Context, c *producer.Client, f producer.Filter, limit int) ([]schemas.Job, error) {
	if limit > 0 {
		f.PageSize = min(limit, 200)
	}
	jobs := []schemas.Job{}
	for job, err := range c.List(ctx, f) {
		if err != nil {
			return nil, err
		}
		if jobs = append(jobs, job); limit > 0 && len(jobs) == limit {
			break
		}
	}
	return jobs, nil
}

// stateWords are a state and what is worth knowing of it in a table.
func stateWords(job schemas.Job) string {
	words := string(job.State)
	switch o := job.Outcome; {
	case job.Cancelling && !job.State.Terminal():
		return "cancelling"
	case job.State == schemas.StateDead && job.Failure != nil:
		return words + " (" + string(job.Failure.Code) + ")"
	case job.State != schemas.StateFailed || o == nil:
		return words
	case o.Limit != "":
		return words + " (" + o.Limit + " limit)"
	case o.Signal != "":
		return words + " (" + o.Signal + ")"
	case o.ExitCode != nil:
		return fmt.Sprintf("%s (%d)", words, *o.ExitCode)
	}
	return words
}

// shortImage leaves out what is meant if nothing is said, and where a local image lies.
func shortImage(ref string) string {
	name, _, _ := strings.Cut(ref, "@")
	for _, prefix := range []string{"index.docker.io/", "docker.io/", "library/"} {
		name = strings.TrimPrefix(name, prefix)
	}
	if kind, file, ok := strings.Cut(name, ":"); ok && strings.HasPrefix(file, "/") {
		name = kind + ":" + path.Base(file)
	}
	return printable(name)
}

func tookWords(job schemas.Job, now time.Time) string {
	end := now
	if job.Ended > 0 {
		end = time.UnixMicro(job.Ended)
	}
	return formatSpan(max(end.Sub(time.UnixMicro(job.Created)), 0))
}

func labelWords(labels map[string]string) string {
	var words []string
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		words = append(words, printable(k+"="+labels[k]))
	}
	return strings.Join(words, " ")
}
