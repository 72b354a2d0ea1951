// Package noop "runs" jobs by starting nothing: a job takes no time, or a given
// one, writes nothing or a given text, and ends with a given exit code. All else
// of its life is real: offer, claim, staging, objects, report. It is for
// measuring the control plane alone, and for trying what surrounds a machine,
// failure above all.
//
// No job gets here by accident: it is offered as a container, which no default
// job accepts, with a kernel of the name "noop". A job that is meant for it
// asks for both:
//
//	"requires": {"isolation": "container", "kernel": "noop"}
//
// It may say by its environment how it pretends to run, see [EnvRun].
//
// An executor that has this runner must have no other one of its kind. It must
// not know the queue or the object store.
package noop

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Kernel is the kernel's release as a job may require it.
const Kernel = schemas.KernelNoop

// Config of a runner that runs nothing.
type Config struct {
	// Dir is the runner's own for inputs while they are staged; what an earlier run
	// left there is removed. Default: the system's folder for temporary files.
	Dir string
	// Arch that it claims to be. Default: this program's own.
	Arch string
	// Start is how long a machine takes to start, Run how long a job runs. Default 0.
	Start, Run time.Duration
	// Stdout is what every job writes. Default: nothing.
	Stdout []byte
	// ExitCode of every job, 0 to 255.
	ExitCode int
	// Echo makes a job's inputs its outputs: the same names, the same bytes.
	Echo bool
}

// Runner is an executor.Runner.
type Runner struct{ cfg Config }

var _ executor.Runner = (*Runner)(nil)

// New returns a runner.
func New(c Config) (*Runner, error) {
	if c.Arch == "" {
		c.Arch = runtime.GOARCH
	}
	if !slices.Contains(schemas.Archs, c.Arch) {
		return nil, fmt.Errorf("no-op runner of architecture %q: want one of %v", c.Arch, schemas.Archs)
	}
	if c.ExitCode < 0 || c.ExitCode > 255 {
		return nil, fmt.Errorf("no-op runner with exit code %d: want 0 to 255", c.ExitCode)
	}
	if c.Dir != "" {
		if err := errors.Join(os.RemoveAll(c.Dir), os.MkdirAll(c.Dir, 0o700)); err != nil {
			return nil, fmt.Errorf("empty the no-op runner's folder: %w", err)
		}
	}
	return &Runner{c}, nil
}

// Offering implements executor.Runner.
func (r *Runner) Offering() schemas.Offering {
	return schemas.Offering{Arch: r.cfg.Arch, Isolation: schemas.IsolationContainer, Kernel: Kernel, CPUModel: Kernel}
}

// Requires is what a job must ask for to get here.
func (r *Runner) Requires() schemas.Requires {
	return schemas.Requires{Arch: r.cfg.Arch, Isolation: schemas.IsolationContainer, Kernel: Kernel}
}

// Start implements executor.Runner.
func (r *Runner) Start(ctx context.Context, _ executor.Shape) (executor.Machine, error) {
	m := &machine{cfg: r.cfg, ready: make(chan struct{}), closed: make(chan struct{})}
	go m.start(ctx)
	return m, nil
}

type machine struct {
	cfg    Config
	input  atomic.Pointer[os.File]
	ready  chan struct{} // closed when the two below are set
	booted schemas.Span
	err    error
	once   sync.Once
	closed chan struct{}
}

func (m *machine) start(ctx context.Context) {
	begin := time.Now()
	m.err = pass(ctx, m.cfg.Start)
	m.booted = since(schemas.SpanBooted, begin)
	close(m.ready)
}

// Input implements executor.Machine. Only a job with inputs has a file made: what
// is measured here is not a filesystem. Of one that cannot be made there is nil,
// to which nothing can be written.
func (m *machine) Input() *os.File {
	if m.input.Load() == nil {
		input, err := os.CreateTemp(m.cfg.Dir, "pe-noop-input-")
		if err != nil {
			return nil
		}
		_ = os.Remove(input.Name()) // it is there for as long as it is open
		m.input.Store(input)
	}
	return m.input.Load()
}

// Run implements executor.Machine.
func (m *machine) Run(ctx context.Context, work executor.Work) (executor.Ended, error) {
	if <-m.ready; m.err != nil {
		return executor.Ended{}, &executor.StartError{Err: m.err}
	}
	acts, err := m.cfg.of(work.Job)
	if err != nil {
		return m.ended(guestproto.Exit{Code: guestproto.CodeNotFound, NotStarted: true, Message: err.Error()}), nil
	}
	begin := time.Now()
	work.Stage(schemas.SpanRunning)
	if len(acts.stdout) > 0 {
		work.Stdout(acts.stdout)
	}
	if err := m.pass(ctx, acts.run); err != nil {
		return executor.Ended{}, err
	}
	if rand.Uint64N(100) < acts.breaks {
		return executor.Ended{}, errBroke
	}
	ended := m.ended(acts.exit, m.booted, since(schemas.SpanRunning, begin))
	if m.cfg.Echo && work.InputBytes > 0 {
		ended.Outputs = io.NewSectionReader(m.input.Load(), 0, work.InputBytes)
		ended.Collected.Bytes = work.InputBytes
	}
	return ended, nil
}

func (m *machine) ended(exit guestproto.Exit, spans ...schemas.Span) executor.Ended {
	return executor.Ended{
		Exit:  exit,
		Guest: guestproto.Ready{Kernel: Kernel, CPUModel: Kernel},
		Spans: spans,
		Start: schemas.StartBooted,
	}
}

// pass lets time pass until the attempt or the machine ends.
func (m *machine) pass(ctx context.Context, d time.Duration) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	go func() {
		select {
		case <-m.closed:
			cancel(io.ErrClosedPipe)
		case <-ctx.Done():
		}
	}()
	return pass(ctx, d)
}

// Close implements executor.Machine.
func (m *machine) Close() error {
	m.once.Do(func() {
		close(m.closed)
		if input := m.input.Load(); input != nil {
			input.Close()
		}
	})
	return nil
}

// pass lets time pass.
func pass(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return context.Cause(ctx)
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func since(name string, begin time.Time) schemas.Span {
	return schemas.Span{Name: name, StartUS: begin.UnixMicro(), EndUS: time.Now().UnixMicro()}
}

// Images has every image, without a byte of it: nothing looks into them. It is
// an executor.Images.
type Images struct{}

var _ executor.Images = Images{}

// Get implements executor.Images.
func (Images) Get(_ context.Context, reference, digest, arch string) (*imagesync.Image, error) {
	return &imagesync.Image{Reference: reference, Digest: digest, Platform: "linux/" + arch}, nil
}
