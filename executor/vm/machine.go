package vm

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// channelInput is the largest input, in bytes, that goes over the job channel:
// telling the guest of a disk's new size costs more than sending that much.
const channelInput = 512 << 10

// machine is a job's. It has its disks from the beginning, and its guest once
// that is ready.
type machine struct {
	runner *Runner
	shape  executor.Shape
	disks  *disks
	cancel context.CancelCauseFunc

	ready chan struct{} // closed when guest or err is set
	guest *guest
	err   error

	closing sync.Once
	closed  error
}

// begin takes a machine that waits, or has the disks of one ready at once and its
// guest in the background.
func (m *machine) begin(ctx context.Context) (err error) {
	r := m.runner
	pooled := r.takeWaiting(m.shape)
	if pooled != nil {
		m.disks = pooled.disks
	} else if m.disks, err = newDisks(r.cfg.RunDir, m.shape.OutputBytes); err != nil {
		return err
	}
	go func() {
		defer close(m.ready)
		if m.guest, m.err = m.get(ctx, pooled); m.err == nil {
			r.host.metrics.machines.WithLabelValues(r.cfg.Bundle.Arch, m.guest.start).Inc()
			m.err = m.fit(ctx)
		}
	}()
	return nil
}

// get returns the guest of the pool, or else another over the same disks, which
// may hold inputs by now.
func (m *machine) get(ctx context.Context, pooled *waiting) (*guest, error) {
	if pooled != nil {
		err := pooled.adopt(ctx)
		if err == nil || ctx.Err() != nil {
			return pooled.guest, err
		}
		m.runner.cfg.Log.Warn("machine of the pool does not answer", "vm", m.shape.Name, "err", err)
		// They are of the pool's size, and one that boots is not told another.
		if err := m.disks.grow(m.shape.OutputBytes); err != nil {
			return nil, err
		}
	}
	return m.runner.make(ctx, order{name: m.shape.Name, shape: m.shape, disks: m.disks})
}

// fit tells a restored guest how large its output disk must be, if it is not large enough.
func (m *machine) fit(ctx context.Context) error {
	want := roundUp(m.shape.OutputBytes)
	if m.guest.start == schemas.StartBooted || want <= standardOutput {
		return nil
	}
	return m.guest.qemu.ResizeDisk(ctx, diskOutput, want)
}

// wait returns the guest when it is ready; until then that is the job's stage.
func (m *machine) wait(ctx context.Context, stage func(string)) (*guest, error) {
	select {
	case <-m.ready:
		return m.guest, m.err
	default:
		stage(m.awaited())
	}
	select {
	case <-m.ready:
		return m.guest, m.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// awaited is what a machine that isn't ready is most likely doing.
func (m *machine) awaited() string {
	if m.runner.host.store != nil {
		return schemas.SpanRestored
	}
	return schemas.SpanBooted
}

// Input implements executor.Machine.
func (m *machine) Input() *os.File { return m.disks.input }

// Run implements executor.Machine.
func (m *machine) Run(ctx context.Context, work executor.Work) (executor.Ended, error) {
	g, err := m.wait(ctx, work.Stage)
	if err != nil {
		return executor.Ended{}, &executor.StartError{Err: err}
	}
	ready := time.Now()
	request, err := m.request(ctx, work)
	if err != nil {
		return executor.Ended{Spans: g.spans}, g.explain(err)
	}
	work.Stage(schemas.SpanPrepared)
	out, err := g.session.Run(ctx, request)
	if err != nil {
		return executor.Ended{Spans: g.spans}, g.explain(err)
	}
	ended, err := m.ended(out)
	ended.Spans = append(g.spans, runSpans(ready, out)...)
	return ended, err
}

// request decides by which way inputs and outputs travel.
func (m *machine) request(ctx context.Context, work executor.Work) (session.Request, error) {
	job := work.Job
	request := session.Request{
		Job:     &job,
		Stdin:   work.Stdin,
		Stdout:  work.Stdout,
		Stderr:  work.Stderr,
		Started: func(time.Time) { work.Stage(schemas.SpanRunning) },
		Exited:  func(time.Time) { work.Stage(schemas.SpanCollected) },
	}
	request.OutputMax = m.shape.OutputBytes
	job.Output.Via, job.Output.Serial = guestproto.ViaDisk, diskOutput
	switch {
	case work.InputBytes == 0:
	case work.InputBytes <= channelInput:
		job.Input.Via = guestproto.ViaChannel
		request.Input = io.NewSectionReader(m.disks.input, 0, work.InputBytes)
	default:
		job.Input.Via, job.Input.Serial, job.Input.Size = guestproto.ViaDisk, diskInput, work.InputBytes
		return request, m.growInput(ctx)
	}
	return request, nil
}

// growInput tells the guest how large the input disk has become since its start.
func (m *machine) growInput(ctx context.Context) error {
	info, err := m.disks.input.Stat()
	if err != nil {
		return fmt.Errorf("input disk: %w", err)
	}
	return m.guest.qemu.ResizeDisk(ctx, diskInput, info.Size())
}

// runSpans places the run's stages. A program that could not be started has no time of running.
func runSpans(ready time.Time, out session.Outcome) []schemas.Span {
	started := out.StartedAt
	if started.IsZero() {
		started = out.ExitAt
	}
	return []schemas.Span{
		span(schemas.SpanPrepared, ready, started),
		span(schemas.SpanRunning, started, out.ExitAt),
		span(schemas.SpanCollected, out.ExitAt, out.CollectedAt),
	}
}

func (m *machine) ended(out session.Outcome) (executor.Ended, error) {
	ended := executor.Ended{
		Exit:         out.Exit,
		Collected:    out.Collected,
		Guest:        m.guest.ready,
		GuestDigest:  m.runner.cfg.Bundle.Digest(),
		MachineBytes: machineBytes(m.shape),
		Start:        m.guest.start,
	}
	if out.Collected.Bytes > 0 {
		ended.Outputs = io.NewSectionReader(m.disks.output, 0, out.Collected.Bytes)
	}
	if cpu, err := m.guest.qemu.CPU(); err == nil {
		ended.HostCPU = cpu - m.guest.before
	}
	// Its work is done: end it before the outputs are packed, not after.
	m.guest.qemu.Kill()
	return ended, nil
}

// Close implements executor.Machine.
func (m *machine) Close() error {
	m.closing.Do(func() {
		m.cancel(nil)
		<-m.ready
		if m.guest != nil {
			m.closed = m.guest.close()
		}
		m.disks.close()
	})
	return m.closed
}
