package cli

import (
	"context"
	"errors"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

func (a *app) deadCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "dead", Short: deadShort, Long: deadLong, Example: deadExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usage(errors.New(wrongArguments(cmd.CommandPath(), "list, show, retry or drop")))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(a.deadListCommand(), a.deadShowCommand(),
		a.deadVerbCommand("retry", deadRetryShort, deadRetryLong, deadRetryExample, "queued again", (*producer.Client).RetryDead),
		a.deadVerbCommand("drop", deadDropShort, "", deadDropExample, "dropped", (*producer.Client).DropDead))
	return cmd
}

func (a *app) deadListCommand() *cobra.Command {
	var labels []string
	limit := 20
	cmd := &cobra.Command{
		Use: "list", Short: deadListShort, Example: deadListExample, Args: exactly(0, ""),
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := deadFilter(labels)
			if err != nil {
				return err
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			jobs, err := listed(cmd.Context(), c, f, limit)
			if err != nil {
				return err
			}
			if a.json {
				return a.print(schemas.JobList{Jobs: jobs})
			}
			return a.deadTable(jobs)
		},
	}
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, helpHasLabel)
	cmd.Flags().IntVarP(&limit, "limit", "n", limit, helpLimit)
	return cmd
}

func deadFilter(labels []string) (producer.Filter, error) {
	f := producer.Filter{States: []schemas.State{schemas.StateDead}}
	return f, pairs(&f.Labels, "label", labels)
}

func (a *app) deadTable(jobs []schemas.Job) error {
	t := a.table("JOB", "IMAGE", "ENDED", "ATTEMPTS", "REASON", "LABELS")
	for _, job := range jobs {
		reason := ""
		if job.Failure != nil {
			reason = string(job.Failure.Code) + ": " + printable(job.Failure.Message)
		}
		t.add(job.ID, shortImage(job.Image.Reference), formatAge(a.now(), job.Ended), attemptWords(job), reason, labelWords(job.Labels))
	}
	return t.write()
}

func attemptWords(job schemas.Job) string {
	if n := len(job.Attempts); n > 0 {
		return fmt.Sprint(job.Attempts[n-1].N)
	}
	return "0"
}

func (a *app) deadShowCommand() *cobra.Command {
	return &cobra.Command{
		Use: "show JOB...", Short: deadShowShort, Example: deadShowExample, Args: someJobs, ValidArgsFunction: a.completeDead,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			for i, id := range args {
				job, err := c.Job(cmd.Context(), id)
				if err == nil && job.State != schemas.StateDead {
					err = fmt.Errorf("job %s is %s, not dead: pe status %s", job.ID, stateWords(job), job.ID)
				}
				if err == nil {
					err = a.showDead(job, i > 0)
				}
				if err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func (a *app) showDead(job schemas.Job, next bool) error {
	if a.json {
		return a.print(job)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	if next {
		fmt.Fprintln(w)
	}
	a.describe(w, job)
	fmt.Fprintf(w, "what now\tpe dead retry %s, or pe dead drop %s\n", job.ID, job.ID)
	return w.Flush()
}

// deadVerbCommand does something to each of the dead jobs that are named. One
// that is refused does not keep it from the others.
func (a *app) deadVerbCommand(verb, short, long, example, done string, do func(*producer.Client, context.Context, string) (schemas.Job, error)) *cobra.Command {
	var labels []string
	all := false
	cmd := &cobra.Command{
		Use: verb + " JOB... | --all", Short: short, Long: long, Example: example, ValidArgsFunction: a.completeDead,
		RunE: func(cmd *cobra.Command, args []string) error {
			if all == (len(args) > 0) || !all && len(labels) > 0 {
				return usage(errors.New(wrongArguments(cmd.CommandPath(), "JOB..., or --all, with --label if you like")))
			}
			c, err := a.client()
			if err != nil {
				return err
			}
			if all {
				if args, err = allDead(cmd.Context(), c, labels); err != nil {
					return err
				}
				if len(args) == 0 {
					a.note(noDead)
				}
			}
			return a.each(args, func(id string) error {
				job, err := do(c, cmd.Context(), id)
				if err != nil {
					return err
				}
				return a.tellDone(job, done)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, helpAllDead)
	cmd.Flags().StringArrayVarP(&labels, "label", "l", nil, helpHasLabel)
	return cmd
}

// each does something to each job. A refusal is said and the others go on;
// the exit code is that of the first.
func (a *app) each(ids []string, do func(id string) error) error {
	var first error
	for _, id := range ids {
		err := do(id)
		var refused *schemas.ProblemDocument
		if err != nil && !errors.As(err, &refused) {
			return err
		}
		if err != nil {
			code := a.report(err)
			if first == nil {
				first = &codedError{code: code}
			}
		}
	}
	return first
}

func (a *app) tellDone(job schemas.Job, done string) error {
	if a.json {
		return a.print(job)
	}
	return a.write([]byte(job.ID + " " + done + "\n"))
}

// allDead lists the ids first: what is done to a job moves the pages of the list.
func allDead(ctx context.Context, c *producer.Client, labels []string) (ids []string, err error) {
	f, err := deadFilter(labels)
	if err != nil {
		return nil, err
	}
	jobs, err := listed(ctx, c, f, 0)
	for _, job := range jobs {
		ids = append(ids, job.ID)
	}
	return ids, err
}

// someJobs wants at least one id.
func someJobs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usage(errors.New(wrongArguments(cmd.CommandPath(), "JOB...")))
	}
	return nil
}

// completeDead offers the ids of dead jobs.
func (a *app) completeDead(cmd *cobra.Command, _ []string, _ string) ([]string, cobra.ShellCompDirective) {
	ctx, stop := context.WithTimeout(cmd.Context(), completionPatience)
	defer stop()
	c, err := a.client()
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	ids, _ := allDead(ctx, c, nil) // what was got before an error is better than nothing
	return ids, cobra.ShellCompDirectiveNoFileComp
}
