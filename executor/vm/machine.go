package vm

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// channelInput is the largest input, in bytes, that goes over the job channel:
// telling the guest of a disk's new size costs more than sending that much.
const channelInput = 512 << 10

// machine is a booted guest, ready for one job.
type machine struct {
	runner  *Runner
	user    int
	shape   executor.Shape
	qemu    *qemu.Machine
	session *session.Session
	ready   guestproto.Ready
	bytes   int64
	spans   []schemas.Span
	// since is when the guest was ready.
	since time.Time

	// end lets go of what waits for the machine's end.
	end     context.CancelCauseFunc
	closing sync.Once
	closed  error
}

// Run implements executor.Machine.
func (m *machine) Run(ctx context.Context, work executor.Work) (executor.Ended, error) {
	request, err := m.request(ctx, work)
	if err != nil {
		return executor.Ended{}, m.explain(err)
	}
	work.Stage(schemas.SpanPrepared)
	out, err := m.session.Run(ctx, request)
	if err != nil {
		return executor.Ended{Spans: m.spans}, m.explain(err)
	}
	return m.ended(out)
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
	output, err := m.shape.Output.Stat()
	if err != nil {
		return request, fmt.Errorf("output disk: %w", err)
	}
	request.OutputMax = output.Size()
	job.Output.Via, job.Output.Serial = guestproto.ViaDisk, diskOutput
	switch {
	case work.InputBytes == 0:
	case work.InputBytes <= channelInput:
		job.Input.Via = guestproto.ViaChannel
		request.Input = io.NewSectionReader(m.shape.Input, 0, work.InputBytes)
	default:
		job.Input.Via, job.Input.Serial, job.Input.Size = guestproto.ViaDisk, diskInput, work.InputBytes
		return request, m.growInput(ctx)
	}
	return request, nil
}

// growInput tells the guest how large the input disk has become since the boot.
func (m *machine) growInput(ctx context.Context) error {
	info, err := m.shape.Input.Stat()
	if err != nil {
		return fmt.Errorf("input disk: %w", err)
	}
	return m.qemu.ResizeDisk(ctx, diskInput, info.Size())
}

// runSpans places the run's stages. A program that could not be started has no time of running.
func (m *machine) runSpans(out session.Outcome) []schemas.Span {
	started := out.StartedAt
	if started.IsZero() {
		started = out.ExitAt
	}
	return append(m.spans,
		span(schemas.SpanPrepared, m.since, started),
		span(schemas.SpanRunning, started, out.ExitAt),
		span(schemas.SpanCollected, out.ExitAt, out.CollectedAt))
}

func (m *machine) ended(out session.Outcome) (executor.Ended, error) {
	ended := executor.Ended{
		Exit:         out.Exit,
		Collected:    out.Collected,
		Guest:        m.ready,
		GuestDigest:  m.runner.cfg.Bundle.Digest(),
		MachineBytes: m.bytes,
		Spans:        m.runSpans(out),
	}
	if out.Collected.Bytes > 0 {
		ended.Outputs = io.NewSectionReader(m.shape.Output, 0, out.Collected.Bytes)
	}
	if usage, err := m.qemu.Usage(); err == nil {
		ended.HostCPU = usage.CPU
	}
	// Its work is done: end it before the outputs are packed, not after.
	m.qemu.Kill()
	return ended, nil
}

// explain adds what QEMU and the guest's console know of a machine that has died or hangs.
func (m *machine) explain(err error) error {
	select {
	case <-m.qemu.Done():
		return fmt.Errorf("%w; %w", err, m.qemu.Err())
	case <-time.After(deathNotice):
	}
	if text := lastLines(m.qemu.Console()); text != "" {
		return fmt.Errorf("%w; the guest's console ends with: %s", err, text)
	}
	return err
}

// deathNotice is how long a broken channel may precede the news of QEMU's end.
const deathNotice = 100 * time.Millisecond

// consoleExcerpt is how much of the console an error quotes, in bytes.
const consoleExcerpt = 400

// lastLines makes the console's end fit for one line: it is the guest's, so it is quoted.
func lastLines(console []byte) string {
	text := strings.TrimSpace(string(console[max(0, len(console)-consoleExcerpt):]))
	if text == "" {
		return ""
	}
	return strconv.Quote(text)
}

// Close implements executor.Machine.
func (m *machine) Close() error {
	m.closing.Do(func() { m.closed = m.destroy() })
	return m.closed
}

func (m *machine) destroy() error {
	if m.session != nil {
		m.session.Close()
	}
	err := m.qemu.Close()
	m.end(nil)
	if err == nil {
		// A QEMU that does not die keeps its user to itself.
		m.runner.cfg.Users.give(m.user)
	}
	return err
}
