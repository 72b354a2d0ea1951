package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/program-explorer/pe/schemas"
)

func (a *app) statusCommand() *cobra.Command {
	return &cobra.Command{
		Use: "status JOB", Short: statusShort, Example: statusExample, Args: exactly(1, "JOB"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.status(cmd.Context(), args[0]) },
	}
}

func (a *app) status(ctx context.Context, id string) error {
	c, err := a.client()
	if err != nil {
		return err
	}
	job, err := c.Job(ctx, id)
	if err != nil {
		return err
	}
	if a.json {
		return a.print(job)
	}
	if job.Waiting == "" {
		job.Waiting = turnWords(ctx, c, job)
	}
	w := tabwriter.NewWriter(a.Stdout, 0, 8, 2, ' ', 0)
	a.describe(w, job)
	return w.Flush()
}

// describe writes one line per fact.
func (a *app) describe(w io.Writer, job schemas.Job) {
	now := a.now()
	line := func(name, format string, args ...any) { fmt.Fprintf(w, name+"\t"+format+"\n", args...) }
	line("job", "%s", job.ID)
	line("state", "%s", stateWords(job))
	if words := endWords(job); words != "" {
		line("why", "%s", words)
	}
	if job.Waiting != "" {
		line("waiting", "%s", printable(job.Waiting))
	}
	if job.Cached != nil {
		line("cached", "result of job %s (%s)", job.Cached.Job, formatAge(now, job.Cached.EndedUS))
	}
	line("image", "%s", printable(job.Image.Reference))
	line("created", "%s (%s)", time.UnixMicro(job.Created).Format(time.RFC3339), formatAge(now, job.Created))
	line("took", "%s", tookWords(job, now))
	if len(job.Labels) > 0 {
		line("labels", "%s", labelWords(job.Labels))
	}
	for _, at := range job.Attempts {
		if at.Failure != nil {
			line("attempt", "%d on %s failed: %s (%s)", at.N, printable(at.Executor), printable(at.Failure.Message), at.Failure.Code)
		} else {
			line("attempt", "%d on %s", at.N, printable(at.Executor))
		}
	}
	if len(job.Lost) > 0 {
		line("lost", "%s: the gateway's object store has lost it", strings.Join(job.Lost, ", "))
	}
	if job.Result != nil {
		describeResult(line, *job.Result)
	}
}

func describeResult(line func(name, format string, args ...any), r schemas.Result) {
	on := r.RanOn
	line("ran on", "%s, %s, %s", on.Arch, on.Isolation, joinFilled(on.Accel, on.Kernel, on.CPUModel, howStarted[on.Start]))
	line("cpu time", "%s user, %s system", formatSpan(time.Duration(r.Usage.UserUS)*time.Microsecond), formatSpan(time.Duration(r.Usage.SystemUS)*time.Microsecond))
	line("memory", "%s at most in one process, %s in all", formatBytes(r.Usage.MaxRSSBytes), formatBytes(r.Usage.PeakMemoryBytes))
	line("stdout", "%s", formatBytes(r.Stdout.Bytes))
	line("stderr", "%s", formatBytes(r.Stderr.Bytes))
	line("outputs", "%s, %s", plural(r.OutputsTotal, "file"), formatBytes(r.OutputsBytes))
	for _, s := range r.Spans {
		line("  "+printable(s.Name), "%s", formatSpan(time.Duration(s.EndUS-s.StartUS)*time.Microsecond))
	}
}

func joinFilled(words ...string) string {
	joined := ""
	for _, w := range words {
		if w != "" {
			joined += ", " + printable(w)
		}
	}
	if joined == "" {
		return "unknown"
	}
	return joined[2:]
}

// howStarted says how a machine came to be, where it was not made for its job alone.
var howStarted = map[string]string{
	schemas.StartRestored: "restored",
	schemas.StartPooled:   "from the pool",
}
