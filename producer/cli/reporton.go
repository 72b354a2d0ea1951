package cli

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// reportOn shows the results of several targets: why some failed, a table, what
// the program wrote, and what differs.
func (a *app) reportOn(c producer.Comparison) error {
	if a.json {
		return a.print(c)
	}
	for _, r := range c.Runs {
		if r.Job == nil {
			continue
		}
		if words := endWords(*r.Job); words != "" {
			a.screen.say(r.Name + ": " + words + whereMore(words, r.Job.ID))
		}
	}
	if err := a.runTable(c.Runs); err != nil {
		return err
	}
	for _, s := range []struct {
		name     string
		versions []producer.Version
		of       func(*schemas.Result) schemas.Stdio
	}{
		{schemas.StreamStdout, c.Versions.Stdout, func(r *schemas.Result) schemas.Stdio { return r.Stdout }},
		{schemas.StreamStderr, c.Versions.Stderr, func(r *schemas.Result) schemas.Stdio { return r.Stderr }},
	} {
		for _, v := range s.versions {
			if err := a.writeVersion(s.name, v, c, s.of); err != nil {
				return err
			}
		}
	}
	return a.write([]byte("\n" + differenceWords(c.Versions) + "\n"))
}

var runColumns = []string{"TARGET", "STATE", "EXIT", "WALL", "CPU", "MEMORY", "START", "EXECUTOR", "JOB"}

// runTable has a line for each target. Where jobs' ids find no room beside the
// rest, they are told as messages.
func (a *app) runTable(runs []producer.Run) error {
	t := a.table(runColumns...)
	for _, r := range runs {
		t.add(runCells(r)...)
	}
	if t.limit > 0 && t.total() > t.limit {
		t.drop()
		a.tellJobs(runs)
	}
	for t.limit > 0 && t.narrowest() > t.limit && len(t.rows[0]) > needed {
		t.drop()
	}
	return t.write()
}

// needed is how many columns a narrow terminal gets, whatever it does to them.
const needed = 6

// tellJobs names the jobs that no other message has.
func (a *app) tellJobs(runs []producer.Run) {
	if !a.rewritable() {
		return // they were told when they were accepted
	}
	for _, r := range runs {
		if r.Job != nil && endWords(*r.Job) == "" {
			a.note("%s: %s", r.Name, noteJob(r.Job.ID))
		}
	}
}

func runCells(r producer.Run) []string {
	if r.Job == nil {
		return []string{r.Name, leftOut, "-", "-", "-", "-", "-", "-", "-"}
	}
	cells := []string{r.Name, string(r.Job.State), "-", "-", "-", "-", "-", "-", r.Job.ID}
	if n := len(r.Job.Attempts); n > 0 {
		cells[7] = printable(r.Job.Attempts[n-1].Executor)
	}
	result := r.Job.Result
	if result == nil {
		return cells
	}
	copy(cells[2:], []string{
		producer.EndOf(result.Outcome), wallOf(result.Spans), formatMicros(result.Usage.UserUS + result.Usage.SystemUS),
		formatBytes(max(result.Usage.PeakMemoryBytes, result.Usage.MaxRSSBytes)), startWords(r.Job), printable(result.RanOn.Executor),
	})
	return cells
}

// wallOf is how long the program ran.
func wallOf(spans []schemas.Span) string {
	i := slices.IndexFunc(spans, func(s schemas.Span) bool { return s.Name == schemas.SpanRunning })
	if i < 0 {
		return "-"
	}
	return formatMicros(spans[i].EndUS - spans[i].StartUS)
}

func formatMicros(us int64) string { return formatSpan(time.Duration(us) * time.Microsecond) }

// writeVersion shows what the program wrote on some targets, as far as the
// result has it, under a heading. Nothing written is not shown if it was
// nothing everywhere.
func (a *app) writeVersion(stream string, v producer.Version, c producer.Comparison, of func(*schemas.Result) schemas.Stdio) error {
	job := jobOf(c.Runs, v.On[0])
	text := of(job.Result)
	all := len(v.On) == len(c.Versions.Compared)
	if all && text.Bytes == 0 {
		return nil
	}
	head, err := producer.HeadOf(text)
	if err != nil {
		return fmt.Errorf("%s of job %s: %w", stream, job.ID, err)
	}
	on := "on " + strings.Join(v.On, ", ")
	if all && len(v.On) > 1 {
		on = fmt.Sprintf("same on all %d", len(v.On))
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "\n%s, %s:\n", stream, on)
	b.Write(head)
	if len(head) > 0 && head[len(head)-1] != '\n' {
		b.WriteByte('\n')
	}
	switch {
	case text.Bytes == 0:
		b.WriteString("(nothing)\n")
	case text.Truncated:
		fmt.Fprintf(&b, "(the first %s of %s: pe logs %s)\n", formatBytes(int64(len(head))), formatBytes(text.Bytes), job.ID)
	}
	return a.write(b.Bytes())
}

func jobOf(runs []producer.Run, target string) *schemas.Job {
	i := slices.IndexFunc(runs, func(r producer.Run) bool { return r.Name == target })
	return runs[i].Job
}
