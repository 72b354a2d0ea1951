package executor

import (
	"context"
	"fmt"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// process runs a granted attempt from its specification to its objects in the
// store. The event that it returns says so; an error is the platform's failure.
// What it leaves to be let go of can wait until that is reported.
func (e *Executor) process(ctx context.Context, a *attempt) (schemas.Event, error) {
	image, err := e.prepare(ctx, a)
	if err != nil {
		return schemas.Event{}, err
	}
	a.later(image.Release)
	machine, err := a.runner.Start(ctx, a.shape(image))
	if err != nil {
		return schemas.Event{}, machineFailure(&StartError{err})
	}
	a.later(func() { e.closeMachine(a, machine) })
	inputBytes, err := e.stage(ctx, a, machine)
	if err != nil {
		return schemas.Event{}, err
	}
	if err := e.waitForTurn(ctx, a); err != nil {
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

// prepare gets the specification, and the image's EROFS file, pulling and building it if need be.
func (e *Executor) prepare(ctx context.Context, a *attempt) (*imagesync.Image, error) {
	defer a.timeline.begin(schemas.SpanStaged)()
	if err := e.loadSpec(ctx, a); err != nil {
		return nil, err
	}
	watched := imagesync.WithProgress(ctx, func(p imagesync.Progress) {
		e.live.detail(a.held, schemas.SpanStaged, pulling(p))
	})
	image, err := e.cfg.Images.Get(watched, a.grant.Image.Reference, a.grant.Image.Digest, a.grant.Needs.Arch)
	if err != nil {
		return nil, imageFailure(err)
	}
	return image, nil
}

// shape is what the attempt's machine must have.
func (a *attempt) shape(image *imagesync.Image) Shape {
	shape := NewShape(image, a.spec.Limits)
	// An earlier attempt may still be ending here.
	shape.Name = fmt.Sprintf("%s-%d", a.held.Job, a.held.Attempt)
	shape.Tenant = a.held.Tenant
	return shape
}

// stage writes the inputs where the machine finds them, while it starts.
func (e *Executor) stage(ctx context.Context, a *attempt, machine Machine) (int64, error) {
	defer a.timeline.begin(schemas.SpanStaged)()
	if len(a.spec.Files) == 0 {
		return 0, nil
	}
	sign := func(ctx context.Context, digests []string) ([]schemas.SignedRequest, error) {
		reply, err := e.sign(ctx, a, schemas.Sign{Get: digests})
		return reply.Get, err
	}
	n, err := e.transfer.writeInputs(ctx, machine.Input(), a.spec, sign)
	if err != nil {
		return 0, stageFailure(err)
	}
	return n, nil
}

// waitForTurn returns when a slot is free for the staged job. An executor that
// shuts down gives it to others rather than begin it.
func (e *Executor) waitForTurn(ctx context.Context, a *attempt) error {
	defer a.timeline.begin(schemas.SpanStaged)()
	select {
	case <-e.runs.free:
		return nil
	default:
	}
	select {
	case <-e.runs.free:
		return nil
	case <-e.ending:
		return newFailure(schemas.FailHandback, "the executor shut down before the job began")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run hands the job to its machine, and lets the next one begin when it has ended.
func (e *Executor) run(ctx context.Context, a *attempt, machine Machine, job guestproto.Job, inputBytes int64) (Ended, error) {
	defer func() { e.runs.free <- struct{}{} }()
	ended, err := machine.Run(ctx, Work{
		Job:        job,
		InputBytes: inputBytes,
		Stdin:      stdinBytes(a.spec.Stdin),
		Stdout:     a.stdout.write,
		Stderr:     a.stderr.write,
		Stage:      a.timeline.announce,
	})
	a.timeline.add(ended.Spans...)
	if err != nil {
		return Ended{}, machineFailure(err)
	}
	return ended, nil
}

// closeMachine ends the machine before its image is let go.
func (e *Executor) closeMachine(a *attempt, machine Machine) {
	if err := machine.Close(); err != nil {
		e.log.Error("machine left something behind", "job", a.held.Job, "attempt", a.held.Attempt, "err", err)
	}
}
