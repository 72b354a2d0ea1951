package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// batchFlags are the flags of submit that make it submit many jobs.
type batchFlags struct {
	file string
	each bool
}

func (b *batchFlags) add(f *pflag.FlagSet) {
	f.StringVar(&b.file, "batch", "", flagBatch)
	f.BoolVar(&b.each, "each", false, flagEach)
}

// check refuses what describes one job beside a file of many.
func (b *batchFlags) check(cmd *cobra.Command, args []string) error {
	if b.file == "" && b.each {
		return usage(errors.New(eachAlone))
	}
	var wrong error
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if b.file != "" && f.Changed && f.Name != "batch" && f.Name != "each" {
			wrong = usage(errors.New(notInBatch("--" + f.Name)))
		}
	})
	if wrong == nil && b.file != "" && len(args) > 0 {
		wrong = usage(errors.New(notInBatch("arguments")))
	}
	return wrong
}

// submitBatch submits the jobs of a file and prints their ids.
func (a *app) submitBatch(ctx context.Context, b batchFlags) error {
	jobs, err := a.readBatch(b.file, b.each)
	if err != nil {
		return err
	}
	c, err := a.client()
	if err != nil {
		return err
	}
	mode := schemas.BatchAll
	if b.each {
		mode = schemas.BatchEach
	}
	a.screen.doing(phaseSending, "submitting")
	items, err := sendBatch(ctx, c, jobs, mode)
	if err != nil {
		return err
	}
	return a.printBatch(jobs, items)
}

// sendBatch submits what is a specification. What is none has its problem instead of an answer.
func sendBatch(ctx context.Context, c *producer.Client, jobs []batchJob, mode string) ([]schemas.BatchItem, error) {
	items := make([]schemas.BatchItem, len(jobs))
	var specs []schemas.JobSpec
	var at []int
	for i, job := range jobs {
		if len(job.problems) > 0 {
			items[i].Problem = job.refusal(i)
			continue
		}
		specs, at = append(specs, job.spec), append(at, i)
	}
	if len(specs) == 0 {
		return items, nil
	}
	answers, err := c.SubmitBatch(ctx, specs, mode)
	for n, answer := range answers {
		answer.Problem = movedProblem(answer.Problem, n, at[n])
		items[at[n]] = answer
	}
	return items, err
}

// movedProblem points at the place in the file of what was sent as job from.
func movedProblem(p *schemas.ProblemDocument, from, to int) *schemas.ProblemDocument {
	if p == nil || from == to {
		return p
	}
	was, is := jobPointer(from), jobPointer(to)
	for i, problem := range p.Problems {
		if rest, ok := strings.CutPrefix(problem.Pointer, was); ok && (rest == "" || rest[0] == '/') {
			p.Problems[i].Pointer = is + rest
		}
	}
	return p
}

func jobPointer(i int) string { return "/jobs/" + strconv.Itoa(i) }

// printBatch prints the ids of the jobs that were taken, and says why others were not.
func (a *app) printBatch(jobs []batchJob, items []schemas.BatchItem) error {
	refused := 0
	var ids bytes.Buffer
	for i, item := range items {
		if item.Job != nil {
			fmt.Fprintln(&ids, item.Job.ID)
			continue
		}
		if refused++; !a.json {
			a.screen.say(noteRefused(i, jobs[i].line, item.Problem))
		}
	}
	err := a.write(ids.Bytes())
	if a.json {
		err = a.print(schemas.BatchReply{Jobs: items})
	}
	if err == nil && refused > 0 {
		err = &codedError{code: exitServer}
	}
	return err
}
