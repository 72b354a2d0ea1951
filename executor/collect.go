package executor

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/archive"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// collected is a result and the files that go to the store before it.
type collected struct {
	result  schemas.Result
	objects []localObject
}

// collect turns what the guest left, which is hostile, into the archive at rest
// and a result.
func (e *Executor) collect(ctx context.Context, a *attempt, image *imagesync.Image, ended Ended) (*collected, error) {
	end := a.timeline.begin(schemas.SpanCollected)
	c := &collected{result: e.newResult(a, image, ended)}
	c.skippedByGuest(ended.Collected)
	if err := c.addOutputs(ctx, a, ended); err != nil {
		return nil, err
	}
	if err := c.addLogs(a, ended.Exit); err != nil {
		return nil, fail(schemas.FailInternal, err)
	}
	end()
	return c, nil
}

func (e *Executor) newResult(a *attempt, image *imagesync.Image, ended Ended) schemas.Result {
	offer := a.runner.Offering()
	return schemas.Result{
		Version: schemas.ResultVersion,
		Job:     a.held.Job,
		Attempt: a.held.Attempt,
		Outcome: outcome(ended.Exit, ended.Collected),
		Outputs: []schemas.Output{},
		Usage: schemas.Usage{
			UserUS:          ended.Exit.Rusage.UserUS,
			SystemUS:        ended.Exit.Rusage.SysUS,
			MaxRSSBytes:     ended.Exit.Rusage.MaxRSS,
			PeakMemoryBytes: ended.Exit.Rusage.MemoryPeak,
			HostCPUUS:       ended.HostCPU.Microseconds(),
		},
		RanOn: schemas.RanOn{
			Executor:     e.cfg.ID,
			Arch:         offer.Arch,
			Isolation:    offer.Isolation,
			Accel:        offer.Accel,
			CPUModel:     oneLine(ended.Guest.CPUModel, maxName),
			Kernel:       oneLine(ended.Guest.Kernel, maxName),
			ImageDigest:  image.Digest,
			GuestDigest:  ended.GuestDigest,
			MachineBytes: ended.MachineBytes,
			Start:        ended.Start,
		},
	}
}

// addOutputs packs the guest's tar into the archive at rest, entry by entry.
func (c *collected) addOutputs(ctx context.Context, a *attempt, ended Ended) error {
	if ended.Outputs == nil {
		return nil
	}
	packed, index, err := a.repack(ctx, ended.Outputs)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF) && ended.Collected.Limit != "":
		return c.dropOutputs("the outputs did not fit on their disk") // cut in the middle of an entry
	case errors.Is(err, errFinal): // this host's disk, not what the guest wrote
		return fail(schemas.FailInternal, fmt.Errorf("outputs: %w", err))
	case err != nil:
		return fail(schemas.FailGuest, fmt.Errorf("outputs: %w", err))
	case packed.Size > a.spec.Limits.ArchiveBytes():
		return c.dropOutputs("the outputs are too large when they are packed")
	}
	if err := c.list(index); err != nil {
		return fail(schemas.FailInternal, err)
	}
	if len(index.Entries) == 0 {
		return nil
	}
	listing, err := a.keepIndex(index)
	if err != nil {
		return fail(schemas.FailInternal, fmt.Errorf("index of outputs: %w", err))
	}
	if listing.Size > schemas.MaxIndexBytes {
		return c.dropOutputs("the names of the outputs are too long")
	}
	c.result.Archive, c.result.Index = &packed.Object, &listing.Object
	c.objects = append(c.objects, packed, listing)
	return nil
}

// dropOutputs gives up outputs that can't be stored: the limit that they hit is
// the job's, and would be hit again.
func (c *collected) dropOutputs(why string) error {
	overOutput(&c.result.Outcome)
	if c.result.Outcome.Message == "" {
		c.result.Outcome.Message = why
	}
	c.result.Outputs, c.result.OutputsTotal, c.result.OutputsBytes = []schemas.Output{}, 0, 0
	return nil
}

// repack reads the guest's tar once, and only as far as the limits go. Errors of
// this host's disk are errFinal.
func (a *attempt) repack(ctx context.Context, outputs io.Reader) (localObject, atrest.Index, error) {
	file, err := a.create(schemas.ObjectArchive)
	if err != nil {
		return localObject{}, atrest.Index{}, final(err)
	}
	defer file.Close()
	index, err := atrest.Repack(&untilDone{ctx, outputs}, &localWriter{file}, archive.Limits{MaxBytes: a.spec.Limits.OutputBytes})
	if err != nil {
		return localObject{}, atrest.Index{}, err
	}
	object := schemas.Object{Name: schemas.ObjectArchive, Size: index.ArchiveSize, SHA256: index.ArchiveSHA256}
	if err := file.Close(); err != nil {
		return localObject{}, atrest.Index{}, final(err)
	}
	return localObject{object, file.Name()}, index, nil
}

// keepIndex writes the index to the attempt's folder: it may be too large for memory.
func (a *attempt) keepIndex(index atrest.Index) (localObject, error) {
	return a.write(schemas.ObjectIndex, index.Encode)
}

// addLogs fills in stdout and stderr; what is longer than a head becomes an object.
func (c *collected) addLogs(a *attempt, exit guestproto.Exit) (err error) {
	if c.result.Stdout, err = a.stdout.stdio(exit.StdoutTruncated); err != nil {
		return err
	}
	if c.result.Stderr, err = a.stderr.stdio(exit.StderrTruncated); err != nil {
		return err
	}
	if c.result.Stdout.Log, err = c.addLog(a, a.stdout, schemas.ObjectStdout); err != nil {
		return err
	}
	c.result.Stderr.Log, err = c.addLog(a, a.stderr, schemas.ObjectStderr)
	return err
}

func (c *collected) addLog(a *attempt, s *spool, name string) (*schemas.Object, error) {
	if !s.long() {
		return nil, nil
	}
	object, err := a.write(name, func(w io.Writer) error { return compress(w, s.whole()) })
	if err != nil {
		return nil, err
	}
	c.objects = append(c.objects, object)
	return &object.Object, nil
}

// untilDone ends a long copy when the attempt is stopped.
type untilDone struct {
	ctx context.Context
	r   io.Reader
}

func (u *untilDone) Read(p []byte) (int, error) {
	if u.ctx.Err() != nil {
		return 0, context.Cause(u.ctx)
	}
	return u.r.Read(p)
}
