package powercut

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"iter"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/schemas"
)

// ledger is what was acknowledged: kept by the client, who has nothing but answers.
type ledger struct {
	mu    sync.Mutex
	blobs map[string]bool
	jobs  map[string]string // job → digest of its input
	ends  map[string]schemas.Job
	left  int
	cut   func()
	// over is set before the power goes: errors are no news from then on.
	over atomic.Bool
}

func newLedger() *ledger {
	return &ledger{blobs: map[string]bool{}, jobs: map[string]string{}, ends: map[string]schemas.Job{}}
}

// begin has cut called with the answer number n from now.
func (l *ledger) begin(n int, cut func()) { l.left, l.cut = n, cut }

func (l *ledger) blob(digest string)  { l.note(func() { l.blobs[digest] = true }) }
func (l *ledger) end(job schemas.Job) { l.note(func() { l.ends[job.ID] = job }) }

// submitted notes jobs that were acknowledged in one answer.
func (l *ledger) submitted(ids []string, digest string) {
	l.note(func() {
		for _, id := range ids {
			l.jobs[id] = digest
		}
	})
}

// note holds the lock until the power is off: what comes after that is not noted.
func (l *ledger) note(write func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.left == 0 {
		return
	}
	write()
	if l.left--; l.left == 0 {
		l.over.Store(true)
		l.cut()
	}
}

// add takes over what another ledger holds.
func (l *ledger) add(m *ledger) {
	maps.Copy(l.blobs, m.blobs)
	maps.Copy(l.jobs, m.jobs)
	maps.Copy(l.ends, m.ends)
}

func (l *ledger) String() string {
	return fmt.Sprintf("%d jobs, %d inputs, %d ends", len(l.jobs), len(l.blobs), len(l.ends))
}

// losses are what was acknowledged and is not there any more.
type losses struct {
	mu sync.Mutex
	// Jobs have no record; Objects (specifications, inputs, outputs) are missing
	// or damaged; Ends were told and are others now.
	Jobs, Objects, Ends []string
}

func (l *losses) add(kind *[]string, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	*kind = append(*kind, fmt.Sprintf(format, args...))
}

func (l *losses) none() bool { return len(l.Jobs)+len(l.Objects)+len(l.Ends) == 0 }

func (l *losses) String() string {
	text := fmt.Sprintf("%d jobs, %d objects, %d ends", len(l.Jobs), len(l.Objects), len(l.Ends))
	for _, kind := range [][]string{l.Jobs, l.Objects, l.Ends} {
		for _, one := range kind[:min(len(kind), 3)] {
			text += "\n\t" + one
		}
	}
	return text
}

// check asks for all that was acknowledged. Once nothing is missing, all jobs
// must end as they should.
func (l *ledger) check(ctx context.Context, t *testing.T, c *producer.Client) *losses {
	t.Helper()
	lost := &losses{}
	each(ctx, maps.Keys(l.jobs), func(ctx context.Context, id string) error { l.checkJob(ctx, c, id, lost); return nil })
	each(ctx, maps.Keys(l.blobs), func(ctx context.Context, digest string) error {
		missing, err := c.Missing(ctx, []string{digest})
		if err != nil || len(missing) > 0 {
			lost.add(&lost.Objects, "input %s: missing %v: %v", digest, missing, err)
		}
		return nil
	})
	if !lost.none() {
		return lost
	}
	if err := each(ctx, maps.Keys(l.jobs), func(ctx context.Context, id string) error { return mustSucceed(ctx, c, id) }); err != nil {
		t.Errorf("after the power cut: %v", err)
	}
	l.readInputs(ctx, c, lost)
	return lost
}

// each calls do for many at once.
func each(ctx context.Context, all iter.Seq[string], do func(context.Context, string) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(*clients)
	for one := range all {
		group.Go(func() error { return do(ctx, one) })
	}
	return group.Wait()
}

// checkJob asks for a job, which has its specification, and, if its end was
// told, for its outputs.
func (l *ledger) checkJob(ctx context.Context, c *producer.Client, id string, lost *losses) {
	job, err := c.Job(ctx, id)
	var problem *schemas.ProblemDocument
	switch {
	case errors.As(err, &problem) && problem.Status == 404:
		lost.add(&lost.Jobs, "%s: %s", id, problem.Detail)
	case err != nil:
		lost.add(&lost.Objects, "%s: %v", id, err)
	case job.Spec == nil || job.Spec.Files["input"].SHA256 != l.jobs[id]:
		lost.add(&lost.Objects, "%s: its specification is %+v", id, job.Spec)
	}
	told, ended := l.ends[id]
	if err != nil || !ended {
		return
	}
	if diff := cmp.Diff(told, job); diff != "" {
		lost.add(&lost.Ends, "%s: what was told (-) is not what is told (+):\n%s", id, diff)
	}
	if err := readOutput(ctx, c, id, l.jobs[id]); err != nil {
		lost.add(&lost.Objects, "%s: %v", id, err)
	}
}

// readOutput reads a job's one output, which is its input.
func readOutput(ctx context.Context, c *producer.Client, id, digest string) error {
	output, err := c.OutputFile(ctx, id, "input")
	if err != nil {
		return err
	}
	defer output.Close()
	sum := sha256.New()
	if _, err := io.Copy(sum, output); err != nil {
		return err
	}
	if got := schemas.Digest(sum.Sum(nil)); got != digest {
		return fmt.Errorf("its output is %s, want %s", got, digest)
	}
	return nil
}

func mustSucceed(ctx context.Context, c *producer.Client, id string) error {
	job, err := c.Wait(ctx, id)
	if err == nil && job.State != schemas.StateSucceeded {
		err = fmt.Errorf("job %s is %s: %v", id, job.State, job.Failure)
	}
	return err
}

// inputsAtOnce is how many inputs one job reads.
const inputsAtOnce = 50

// readInputs has jobs read all inputs again: the executor checks their digests.
func (l *ledger) readInputs(ctx context.Context, c *producer.Client, lost *losses) {
	for digests := range slices.Chunk(slices.Sorted(maps.Keys(l.blobs)), inputsAtOnce) {
		files := map[string]schemas.File{}
		for _, digest := range digests {
			files[digest[len(schemas.DigestPrefix):]] = schemas.File{SHA256: digest}
		}
		job, err := c.Submit(ctx, echo(files))
		if err == nil {
			err = mustSucceed(ctx, c, job.ID)
		}
		if err != nil {
			lost.add(&lost.Objects, "read %d inputs: %v", len(files), err)
		}
	}
}
