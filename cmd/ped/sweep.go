package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/program-explorer/pe/internal/terminal"
	"github.com/program-explorer/pe/schemas"
)

func (t *adminTool) sweep() *cobra.Command {
	var (
		want  schemas.SweepRequest
		grace time.Duration
	)
	cmd := &cobra.Command{
		Use:   "sweep",
		Short: "Delete what crashes and expiry left in the object store",
		Long: `Delete from the object store what no job's record accounts for, and count what each
tenant has there. Gateways do this by themselves each hour; this is for now.

Objects that are younger than --grace stay, for their record may be about to be
written: with less than it takes to submit a job, make sure that nobody submits.
--dry-run deletes nothing and says what would go.

One sweep at a time deletes; while a gateway is at it, another one is refused, a dry
run is not. To end the command ends the sweep: what it deleted is gone, and the
next one does the rest.`,
		Example: `  ped admin sweep --dry-run
  PE_TOKEN=… ped admin sweep --server https://pe.example.org --grace 10m
  ped admin sweep --dry-run --json | jq '.garbage[].bytes'`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("grace") {
				ms := grace.Milliseconds()
				if grace < 0 || ms > schemas.MaxGraceMS {
					return usageError{fmt.Errorf("grace %s: want 0 to %s", grace, time.Duration(schemas.MaxGraceMS)*time.Millisecond)}
				}
				want.GraceMS = &ms
			}
			return t.runSweep(cmd.Context(), want)
		},
	}
	f := cmd.Flags()
	f.BoolVar(&want.DryRun, "dry-run", false, "delete nothing")
	f.DurationVar(&grace, "grace", 0, "leave objects alone that are younger than this `TIME`: 90s, 1h30m (default the gateway's, 1h)")
	_ = cmd.RegisterFlagCompletionFunc("grace", cobra.FixedCompletions([]string{"0s", "10m", "1h"}, cobra.ShellCompDirectiveNoFileComp))
	return cmd
}

func (t *adminTool) runSweep(ctx context.Context, want schemas.SweepRequest) error {
	client, err := t.client()
	if err != nil {
		return usageError{err}
	}
	line := progressLine{w: t.stderr}
	report, err := client.Sweep(ctx, want, func(r schemas.SweepReport) {
		total := r.Total()
		line.show("%d objects looked at, %d %s", r.Listed.Objects, total.Objects, went(r))
	})
	line.clear()
	if report.StartedUS != 0 {
		if err := t.printSweep(report); err != nil {
			return err
		}
	}
	if err == nil && report.Failed > 0 {
		err = fmt.Errorf("%d objects could not be deleted: the gateway's log says why, the next sweep tries again", report.Failed)
	}
	return err
}

// went says what became of garbage.
func went(r schemas.SweepReport) string {
	if r.DryRun {
		return "to delete"
	}
	return "deleted"
}

func (t *adminTool) printSweep(r schemas.SweepReport) error {
	if t.json {
		return json.NewEncoder(t.stdout).Encode(r)
	}
	if len(r.Garbage) > 0 {
		w := tabwriter.NewWriter(t.stdout, 0, 0, 2, ' ', 0)
		fmt.Fprintln(w, "TENANT\tGARBAGE\tOBJECTS\tSIZE\tFOR EXAMPLE")
		for _, g := range r.Garbage {
			example := "-"
			if len(g.Examples) > 0 {
				example = terminal.Printable(g.Examples[0])
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%s\n", known(g.Tenant), g.Kind, g.Objects, sizeText(g.Bytes), example)
		}
		if err := w.Flush(); err != nil {
			return err
		}
	}
	_, err := fmt.Fprintln(t.stdout, sweepSummary(r))
	return err
}

func sweepSummary(r schemas.SweepReport) string {
	total := r.Total()
	parts := []string{
		fmt.Sprintf("%d objects looked at (%s)", r.Listed.Objects, sizeText(r.Listed.Bytes)),
		fmt.Sprintf("%d %s (%s)", total.Objects, went(r), sizeText(total.Bytes)),
	}
	for _, also := range []struct {
		n    int64
		what string
	}{{r.Young.Objects, "too young to judge"}, {r.Foreign.Objects, "not ours"}, {r.Failed, "could not be deleted"}} {
		if also.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", also.n, also.what))
		}
	}
	if !r.Done {
		parts = append(parts, "not finished")
	}
	return strings.Join(parts, ", ")
}

// progressLine is one line of a terminal that says how far something is; elsewhere it says nothing.
type progressLine struct {
	w     io.Writer
	shown bool
}

func (p *progressLine) show(format string, args ...any) {
	if f, ok := p.w.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		fmt.Fprintf(p.w, "\r\x1b[Kped: "+format, args...)
		p.shown = true
	}
}

func (p *progressLine) clear() {
	if p.shown {
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
