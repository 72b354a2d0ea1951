package executor

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Runner makes machines of one kind: a QEMU guest, a gVisor sandbox, a container.
type Runner interface {
	// Offering says what kind, as facts for the gateway.
	Offering() schemas.Offering
	// Start begins to make a machine, or takes one that waits ready, and returns at
	// once. The making ends with ctx.
	Start(ctx context.Context, shape Shape) (Machine, error)
}

// Machine runs one job and is never used again.
type Machine interface {
	// Input is where the job's files go as a tar, also while the machine still
	// starts. Close closes it.
	Input() *os.File
	// Run runs the job to its end, once the machine is ready. An error is the
	// platform's failure, never the job's: a *StartError if it did not get ready, a
	// *WarmupError if the image could not be prepared.
	Run(ctx context.Context, work Work) (Ended, error)
	// Close destroys the machine and all that it holds. It may be called at any time, more than once.
	Close() error
}

// Shape is what a machine must have, known before its job is staged.
type Shape struct {
	// Name is unique among the machines of this host: [a-z0-9-].
	Name string
	// Image is the root filesystem, and what makes a machine ready for it. It
	// outlives the machine.
	Image *imagesync.Image
	// Warmup ran in the machine before its job, in this order, and what it wrote is
	// as if it were part of the image.
	Warmup []WarmupRun
	// CPUs is the number of processors, MemoryBytes what the job and its files may use together.
	CPUs        int
	MemoryBytes int64
	// OutputBytes is how much the guest may pack as outputs, headers included.
	OutputBytes int64
	// Tenant is who pays, where preparing costs.
	Tenant string
}

// StartError is a machine that did not get ready, as opposed to one that broke later.
type StartError struct{ Err error }

func (e *StartError) Error() string { return e.Err.Error() }
func (e *StartError) Unwrap() error { return e.Err }

// WarmupError is a command of an image's warm-up that did not succeed. It is the
// fault of the image or of its catalog entry.
type WarmupError struct {
	Argv []string
	// Reason is one line: an exit code, a limit, and what the command said last.
	Reason string
}

func (e *WarmupError) Error() string {
	return fmt.Sprintf("the image's warm-up %q failed: %s", e.Argv, e.Reason)
}

// Work is a job, staged.
type Work struct {
	Job guestproto.Job
	// InputBytes of Machine.Input are a tar of the job's files; 0 if it has none.
	InputBytes int64
	// Stdin is read to its end; nil if the job's stdin is empty or a file.
	Stdin io.Reader
	// Stdout and Stderr get what the program writes, as it writes; they must not keep p.
	Stdout, Stderr func(p []byte)
	// Stage hears the name of each span as it begins.
	Stage func(span string)
}

// Ended is a job that ran to its end.
type Ended struct {
	Exit      guestproto.Exit
	Collected guestproto.Collected
	// Outputs is the tar as the guest packed it: hostile. Nil if there is none.
	Outputs io.Reader
	// Spans that the runner measured: booted or restored, prepared, running, collected.
	Spans []schemas.Span
	// Start is how the machine came to be: schemas.StartBooted and its like.
	Start string
	// HostCPU is what running the machine cost this host.
	HostCPU time.Duration
	// Guest and MachineBytes describe the machine.
	Guest        guestproto.Ready
	GuestDigest  string
	MachineBytes int64
}
