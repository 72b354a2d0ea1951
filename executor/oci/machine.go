//go:build linux

package oci

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

// machine is a job's. It has files for inputs and outputs from the beginning, and its guest once that is ready.
type machine struct {
	runner        *Runner
	shape         executor.Shape
	input, output *os.File
	cancel        context.CancelCauseFunc

	ready chan struct{} // closed when guest or err is set
	guest *guest
	err   error

	closing sync.Once
	closed  error
}

// begin takes a machine that waits, or makes one in the background.
func (m *machine) begin(ctx context.Context) (err error) {
	if m.input, err = unnamed(m.runner.cfg.RunDir); err != nil {
		return err
	}
	if m.output, err = unnamed(m.runner.cfg.RunDir); err != nil {
		m.input.Close()
		return err
	}
	if m.guest = m.runner.takeWaiting(m.shape); m.guest != nil {
		close(m.ready)
		return nil
	}
	go func() {
		defer close(m.ready)
		m.guest, m.err = m.runner.make(ctx, m.shape.Name, m.shape)
	}()
	return nil
}

// unnamed makes a file of which nothing outlives us.
func unnamed(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, "file-")
	if err != nil {
		return nil, fmt.Errorf("make file of a machine: %w", err)
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, fmt.Errorf("make file of a machine: %w", err)
	}
	return f, nil
}

// wait returns the guest when it is ready; until then that is the job's stage.
func (m *machine) wait(ctx context.Context, stage func(string)) (*guest, error) {
	select {
	case <-m.ready:
		return m.guest, m.err
	default:
		stage(schemas.SpanBooted)
	}
	select {
	case <-m.ready:
		return m.guest, m.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Input implements executor.Machine.
func (m *machine) Input() *os.File { return m.input }

// Run implements executor.Machine.
func (m *machine) Run(ctx context.Context, work executor.Work) (executor.Ended, error) {
	g, err := m.wait(ctx, work.Stage)
	if err != nil {
		return executor.Ended{}, &executor.StartError{Err: err}
	}
	ready := time.Now()
	work.Stage(schemas.SpanPrepared)
	out, err := g.Run(ctx, m.request(work))
	if err != nil {
		return executor.Ended{Spans: g.spans}, g.explain(err)
	}
	ended := m.ended(out)
	ended.Spans = append(g.spans, runSpans(ready, out)...)
	return ended, nil
}

// request sends everything over the channel, which is a pipe of this host.
func (m *machine) request(work executor.Work) session.Request {
	job := work.Job
	request := session.Request{
		Job: &job, Stdin: work.Stdin, Stdout: work.Stdout, Stderr: work.Stderr,
		Started: func(time.Time) { work.Stage(schemas.SpanRunning) },
		Exited:  func(time.Time) { work.Stage(schemas.SpanCollected) },
	}
	job.Output.Via, job.Output.Serial = guestproto.ViaChannel, ""
	request.Output, request.OutputMax = m.output, m.shape.OutputBytes
	if work.InputBytes > 0 {
		job.Input.Via, job.Input.Serial, job.Input.Size = guestproto.ViaChannel, "", work.InputBytes
		request.Input = io.NewSectionReader(m.input, 0, work.InputBytes)
	}
	return request
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

func (m *machine) ended(out session.Outcome) executor.Ended {
	ended := executor.Ended{
		Exit: out.Exit, Collected: out.Collected, Guest: m.guest.ready, GuestDigest: m.runner.digest,
		MachineBytes: machineBytes(m.shape), Start: m.guest.start,
		HostCPU: m.guest.machine.Usage().CPU - m.guest.before,
	}
	go m.guest.machine.Kill() // its work is done: it ends before the outputs are packed, not after; Close tells of what goes wrong
	if out.Collected.Bytes > 0 {
		ended.Outputs = io.NewSectionReader(m.output, 0, out.Collected.Bytes)
	}
	return ended
}

// Close implements executor.Machine.
func (m *machine) Close() error {
	m.closing.Do(func() {
		m.cancel(nil)
		<-m.ready
		if m.guest != nil {
			m.closed = m.guest.close()
		}
		m.input.Close()
		m.output.Close()
	})
	return m.closed
}
