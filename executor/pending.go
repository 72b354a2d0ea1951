package executor

import (
	"context"
	"fmt"
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
		// An earlier attempt may still be ending here.
		Name:        fmt.Sprintf("%s-%d", a.held.Job, a.held.Attempt),
		Rootfs:      image.ErofsPath,
		CPUs:        int(math.Ceil(a.spec.Limits.CPUs)),
		MemoryBytes: a.spec.Limits.MemoryBytes + a.spec.Limits.ScratchBytes,
		Input:       d.input,
		Output:      d.output,
	}
	go func() {
		defer close(p.done)
		p.machine, p.err = a.runner.Start(ctx, shape)
	}()
	return p
}

// wait returns the machine when it has started; until then that is the attempt's stage.
func (p *pendingMachine) wait(ctx context.Context, t *timeline) (Machine, error) {
	select {
	case <-p.done:
		return p.machine, p.err
	default:
		t.announce(schemas.SpanBooted)
	}
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
	if err := p.machine.Close(); err != nil {
		return fmt.Errorf("close machine: %w", err)
	}
	return nil
}
