package powercut

import (
	"bytes"
	"context"
	crand "crypto/rand"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// load has clients upload inputs, submit jobs and wait for their ends as fast
// as they are answered. The answer number cutAt is the last: in the moment in
// which it is there the power goes.
func load(m *machine, l *ledger, cutAt int) {
	ctx, cancel := context.WithCancel(m.Context())
	defer cancel()
	l.begin(cutAt, func() { m.cut(); cancel() })
	var running sync.WaitGroup
	for range *clients {
		running.Go(func() {
			for ctx.Err() == nil {
				err := one(ctx, m.client, l)
				// A machine that is slow may say so; it is no promise broken.
				if err != nil && !producer.Transient(err) && ctx.Err() == nil && !l.over.Load() {
					m.Errorf("before the power was cut: %v\n%s", err, m.said())
					cancel()
				}
			}
		})
	}
	running.Wait()
	if m.Failed() {
		m.FailNow()
	}
}

// one is a job's life as a client sees it, or that of a few that are submitted
// together; each answer is noted.
func one(ctx context.Context, c *producer.Client, l *ledger) error {
	file := input()
	files, err := c.Upload(ctx, []producer.LocalFile{file}, nil)
	if err != nil {
		return err
	}
	digest := files[file.Name].SHA256
	l.blob(digest)
	ids, err := submit(ctx, c, echo(files))
	if err != nil {
		return err
	}
	l.submitted(ids, digest)
	job, err := c.Wait(ctx, ids[0])
	if err != nil {
		return err
	}
	l.end(job)
	return nil
}

// together is how many jobs a batch has.
const together = 5

// submit sends every fourth time a batch.
func submit(ctx context.Context, c *producer.Client, spec schemas.JobSpec) (ids []string, err error) {
	if rand.N(4) > 0 {
		job, err := c.Submit(ctx, spec)
		return []string{job.ID}, err
	}
	items, err := c.SubmitBatch(ctx, slices.Repeat([]schemas.JobSpec{spec}, together), schemas.BatchAll)
	for _, item := range items {
		if item.Job == nil {
			return nil, fmt.Errorf("batch: %w", item.Problem)
		}
		ids = append(ids, item.Job.ID)
	}
	return ids, err
}

// input is a file that nobody has seen, too large to travel in the specification.
func input() producer.LocalFile {
	content := make([]byte, producer.MaxInline+4096)
	crand.Read(content)
	return producer.LocalFile{Name: "input", Size: int64(len(content)), Open: func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}}
}

// echo is a job for the runner that runs nothing: its outputs are its inputs, and
// all else of its life is real. Every other specification is too large to stand in the
// job's record, and is an object.
func echo(files map[string]schemas.File) schemas.JobSpec {
	spec := schemas.JobSpec{
		Image: "nothing", Args: []string{"true"}, Files: files,
		Requires: schemas.Requires{Arch: "amd64", Isolation: schemas.IsolationContainer, Kernel: schemas.KernelNoop},
	}
	if rand.N(2) > 0 {
		spec.Env = map[string]string{"PADDING": strings.Repeat("x", 2*schemas.MaxInline)}
	}
	return spec
}
