package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

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
	specs, err := a.readBatch(b.file)
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
	items, err := c.SubmitBatch(ctx, specs, mode)
	if err != nil {
		return err
	}
	return a.printBatch(items)
}

// printBatch prints the ids of the jobs that were taken, and says why others were not.
func (a *app) printBatch(items []schemas.BatchItem) error {
	refused := 0
	var ids bytes.Buffer
	for i, item := range items {
		if item.Job != nil {
			fmt.Fprintln(&ids, item.Job.ID)
			continue
		}
		if refused++; !a.json {
			a.screen.say(noteRefused(i, item.Problem))
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

// readBatch reads specifications: a JSON array of them, or one after the other.
func (a *app) readBatch(name string) ([]schemas.JobSpec, error) {
	f, err := a.readable(name)
	if err != nil {
		return nil, fmt.Errorf("read batch: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, schemas.MaxBatchBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read batch: %w", err)
	}
	documents, err := documentsOf(data)
	if err != nil {
		return nil, usage(fmt.Errorf("batch %s: %w", name, err))
	}
	var specs []schemas.JobSpec
	var problems []schemas.Problem
	for i, document := range documents {
		spec, found, err := schemas.DecodeJobTemplate(bytes.NewReader(document))
		if err != nil {
			return nil, usage(fmt.Errorf("batch %s: job %d: %w", name, i, err))
		}
		specs, problems = append(specs, spec), append(problems, schemas.InBatch(i, found)...)
	}
	if len(problems) > 0 {
		return nil, specProblems(problems[:min(len(problems), schemas.MaxProblems)])
	}
	return specs, nil
}

// documentsOf takes a batch's file apart.
func documentsOf(data []byte) (documents []json.RawMessage, err error) {
	if len(data) > schemas.MaxBatchBytes {
		return nil, fmt.Errorf("%w: more than %d bytes", schemas.ErrTooLarge, schemas.MaxBatchBytes)
	}
	if data = bytes.TrimSpace(data); bytes.HasPrefix(data, []byte("[")) {
		err = json.Unmarshal(data, &documents)
	} else {
		for dec := json.NewDecoder(bytes.NewReader(data)); err == nil; {
			var document json.RawMessage
			if err = dec.Decode(&document); err == nil {
				documents = append(documents, document)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if n := len(documents); err == nil && (n == 0 || n > schemas.MaxBatchJobs) {
		err = fmt.Errorf("it has %d jobs; want 1 to %d", n, schemas.MaxBatchJobs)
	}
	return documents, err
}
