package cli

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// outputFlags say where outputs go.
type outputFlags struct {
	dir  string
	none bool
	keep bool
}

func (o *outputFlags) add(f *pflag.FlagSet, dir string) {
	f.StringVarP(&o.dir, "output", "o", dir, helpOutput)
	f.BoolVar(&o.keep, "no-clobber", false, helpNoClobber)
}

// fetchOutputs unpacks the outputs of a job that left any.
func (a *app) fetchOutputs(ctx context.Context, c *producer.Client, job schemas.Job, o outputFlags) error {
	if o.none {
		return nil
	}
	if err := lostOutputs(job); err != nil {
		return err
	}
	if job.Result == nil {
		return nil
	}
	if n := job.Result.SkippedTotal; n > 0 && len(job.Result.Skipped) > 0 {
		a.note("%s", noteSkipped(n, job.Result.Skipped[0]))
	}
	if job.Result.OutputsTotal == 0 {
		return nil
	}
	a.screen.doing(phaseFinishing, "fetching outputs")
	if err := a.unpack(ctx, c, job.ID, o); err != nil {
		return elsewhere(err, job.ID)
	}
	return nil
}

// lostOutputs is an error if nobody can say any more what the job left.
func lostOutputs(job schemas.Job) error {
	if slices.Contains(job.Lost, schemas.LostResult) {
		return errors.New(wordsLost(job))
	}
	return nil
}

// elsewhere says what to do about outputs that could not be unpacked.
func elsewhere(err error, id string) error {
	return fmt.Errorf("%w; pe outputs %s -o DIR fetches them elsewhere", err, id)
}

func (a *app) unpack(ctx context.Context, c *producer.Client, id string, o outputFlags) error {
	done, err := a.unpackTo(ctx, c, id, o)
	if err != nil {
		return err
	}
	a.note("%s", noteFetched(done, o.dir))
	return nil
}

func (a *app) unpackTo(ctx context.Context, c *producer.Client, id string, o outputFlags) (producer.Unpacked, error) {
	body, err := c.Outputs(ctx, id)
	if err != nil {
		return producer.Unpacked{}, fmt.Errorf("fetch outputs: %w", err)
	}
	defer body.Close()
	return producer.Unpack(body, o.dir, producer.UnpackOptions{Keep: o.keep})
}

func (a *app) outputsCommand() *cobra.Command {
	var o outputFlags
	var asTar bool
	cmd := &cobra.Command{
		Use: "outputs JOB [PATH]", Short: outputsShort, Long: outputsLong, Example: outputsExample,
		Args: func(cmd *cobra.Command, args []string) error {
			if chosen := countTrue(o.dir != "", asTar, len(args) == 2); len(args) < 1 || len(args) > 2 || chosen > 1 {
				return usage(errors.New(wrongArguments(cmd.CommandPath(), "JOB and at most one of PATH, --output and --tar")))
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.client()
			if err != nil {
				return err
			}
			switch {
			case o.dir != "":
				a.screen.start(a.rewritable())
				a.screen.doing(phaseFinishing, "fetching outputs")
				return a.unpack(cmd.Context(), c, args[0], o)
			case asTar:
				return a.copyTar(cmd.Context(), c, args[0])
			case len(args) == 2:
				return a.copyOutput(cmd.Context(), c, args[0], args[1])
			}
			return a.listOutputs(cmd.Context(), c, args[0])
		},
	}
	o.add(cmd.Flags(), "")
	cmd.Flags().BoolVar(&asTar, "tar", false, helpTar)
	return cmd
}

func countTrue(set ...bool) int {
	n := 0
	for _, s := range set {
		if s {
			n++
		}
	}
	return n
}

func (a *app) copyTar(ctx context.Context, c *producer.Client, id string) error {
	if isTerminal(a.Stdout) {
		return usage(errors.New(noteTerminal))
	}
	body, err := c.Outputs(ctx, id)
	if err != nil {
		return err
	}
	defer body.Close()
	return a.copyAll(body)
}

func (a *app) copyOutput(ctx context.Context, c *producer.Client, id, path string) error {
	body, err := c.OutputFile(ctx, id, strings.TrimPrefix(path, schemas.OutputDir+"/"))
	if err != nil {
		return err
	}
	defer body.Close()
	return a.copyAll(body)
}

func (a *app) listOutputs(ctx context.Context, c *producer.Client, id string) error {
	outputs, err := c.OutputList(ctx, id)
	if err != nil {
		return err
	}
	if a.json {
		return a.print(schemas.OutputList{Outputs: append([]schemas.Output{}, outputs...)})
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	fmt.Fprintln(w, "MODE\tSIZE\tTYPE\tPATH")
	for _, o := range outputs {
		kind, name := o.MediaType, printable(o.Path)
		if kind == "" {
			kind = o.Type
		}
		if o.Link != "" {
			name += " -> " + printable(o.Link)
		}
		fmt.Fprintf(w, "%s\t%d\t%s\t%s\n", o.Mode, o.Size, printable(kind), name)
	}
	return w.Flush()
}
