package executor

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// process runs a granted attempt from its specification to its objects in the
// store. The event that it returns says so; an error is the platform's failure.
func (e *Executor) process(ctx context.Context, a *attempt) (schemas.Event, error) {
	if err := e.loadSpec(ctx, a); err != nil {
		return schemas.Event{}, err
	}
	image, err := e.image(ctx, a)
	if err != nil {
		return schemas.Event{}, err
	}
	defer image.Release()
	disks, err := makeDisks(a)
	if err != nil {
		return schemas.Event{}, fail(schemas.FailMachine, err)
	}
	defer disks.close()
	machine := e.start(ctx, a, image, disks)
	defer machine.close()
	inputBytes, err := e.stage(ctx, a, disks)
	if err != nil {
		return schemas.Event{}, err
	}
	ended, err := e.run(ctx, a, machine, guestJob(a.spec, image.Config), inputBytes)
	if err != nil {
		return schemas.Event{}, err
	}
	result, err := e.collect(ctx, a, image, ended)
	if err != nil {
		return schemas.Event{}, err
	}
	return e.upload(ctx, a, result)
}

// image gets the image's EROFS file, pulling and building it if need be.
func (e *Executor) image(ctx context.Context, a *attempt) (*imagesync.Image, error) {
	defer a.timeline.begin(schemas.SpanStaged)()
	image, err := e.cfg.Images.Get(ctx, a.grant.Image.Reference, a.grant.Image.Digest, a.grant.Needs.Arch)
	if err != nil {
		return nil, imageFailure(err)
	}
	return image, nil
}

// stage writes the inputs where the machine finds them, while it starts.
func (e *Executor) stage(ctx context.Context, a *attempt, disks *disks) (int64, error) {
	defer a.timeline.begin(schemas.SpanStaged)()
	sign := func(ctx context.Context, digests []string) ([]schemas.SignedRequest, error) {
		reply, err := e.sign(ctx, a, schemas.Sign{Get: digests})
		return reply.Get, err
	}
	n, err := e.transfer.writeInputs(ctx, disks.input, a.spec, sign)
	if err != nil {
		return 0, fail(schemas.FailStage, err)
	}
	return n, nil
}

// run hands the job to its machine.
func (e *Executor) run(ctx context.Context, a *attempt, pending *pendingMachine, job guestproto.Job, inputBytes int64) (Ended, error) {
	machine, err := pending.wait(ctx)
	if err != nil {
		return Ended{}, fail(schemas.FailMachine, err)
	}
	ended, err := machine.Run(ctx, Work{
		Job:        job,
		InputBytes: inputBytes,
		Stdin:      stdinBytes(a.spec.Stdin),
		Stdout:     a.stdout.write,
		Stderr:     a.stderr.write,
		Stage:      a.timeline.announce,
	})
	a.timeline.addSpans(ended.Spans...)
	if err != nil {
		return Ended{}, fail(schemas.FailGuest, err)
	}
	return ended, nil
}

// outputHeaders is the room on an output disk for names and headers beyond the
// limit, which counts content, in bytes.
const outputHeaders = 64 << 20

// disks are the files behind a machine's input and output devices.
type disks struct{ input, output *os.File }

func makeDisks(a *attempt) (*disks, error) {
	input, err := makeDisk(filepath.Join(a.dir, "input"), diskBlock)
	if err != nil {
		return nil, err
	}
	size := a.spec.Limits.OutputBytes + a.spec.Limits.OutputBytes/8 + outputHeaders
	size = (size + diskBlock - 1) / diskBlock * diskBlock
	output, err := makeDisk(filepath.Join(a.dir, "output"), size)
	if err != nil {
		input.Close()
		return nil, err
	}
	return &disks{input, output}, nil
}

// makeDisk makes a sparse file: it takes only the room that is written.
func makeDisk(path string, size int64) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make disk: %w", err)
	}
	if err := f.Truncate(size); err != nil {
		f.Close()
		return nil, fmt.Errorf("make disk: %w", err)
	}
	return f, nil
}

func (d *disks) close() {
	d.input.Close()
	d.output.Close()
}
