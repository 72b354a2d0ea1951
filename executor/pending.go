package executor

import (
	"context"
	"errors"
	"math"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// pendingMachine is a machine that starts while its job is staged.
type pendingMachine struct {
	done    chan struct{}
	cancel  context.CancelFunc
	machine Machine
	err     error
}

// start begins to make the attempt's machine and returns at once.
func (e *Executor) start(ctx context.Context, a *attempt, image *imagesync.Image, d *disks) *pendingMachine {
	ctx, cancel := context.WithCancel(ctx)
	p := &pendingMachine{done: make(chan struct{}), cancel: cancel}
	shape := Shape{
		Name:        a.held.Job,
		Rootfs:      image.ErofsPath,
		CPUs:        int(math.Ceil(a.spec.Limits.CPUs)),
		MemoryBytes: a.spec.Limits.MemoryBytes + a.spec.Limits.ScratchBytes,
		Input:       d.input,
		Output:      d.output,
	}
	a.timeline.announce(schemas.SpanBooted)
	go func() {
		defer close(p.done)
		p.machine, p.err = a.runner.Start(ctx, shape)
	}()
	return p
}

func (p *pendingMachine) wait(ctx context.Context) (Machine, error) {
	select {
	case <-p.done:
		return p.machine, p.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// close ends the machine, also one that is still starting, and returns when nothing of it is left.
func (p *pendingMachine) close() error {
	p.cancel()
	<-p.done
	if p.machine == nil {
		return nil
	}
	return p.machine.Close()
}

// fail gives an error the code under which it is reported, unless it has one
// or is the attempt's own cancellation.
func fail(code schemas.FailureCode, err error) error {
	var known *schemas.Failure
	var stop *stopped
	if errors.As(err, &known) || errors.As(err, &stop) {
		return err
	}
	return schemas.NewFailure(code, err.Error())
}
