package executor

import (
	"context"
	"io"
	"os"
	"time"

	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Runner makes machines of one kind: a QEMU guest, a gVisor sandbox, a container.
type Runner interface {
	// Offering says what kind, as facts for the gateway.
	Offering() schemas.Offering
	// Start makes a machine and returns when it is ready for a job.
	Start(ctx context.Context, shape Shape) (Machine, error)
}

// Machine runs one job and is never used again.
type Machine interface {
	// Run runs the job to its end. An error is the platform's failure, never the job's.
	Run(ctx context.Context, work Work) (Ended, error)
	// Close destroys the machine and all that it holds. It may be called at any time, more than once.
	Close() error
}

// Shape is what a machine must have, known before its job is staged.
type Shape struct {
	// Name is unique among the machines of this host: [a-z0-9-].
	Name string
	// Rootfs is the path of the image's EROFS file.
	Rootfs string
	// CPUs is the number of processors, MemoryBytes what the job and its files may use together.
	CPUs        int
	MemoryBytes int64
	// Input becomes a device with the job's inputs; it is filled while the machine starts.
	Input *os.File
	// Output becomes a device for the packed outputs; its size is their limit.
	Output *os.File
}

// Work is a job, staged.
type Work struct {
	Job guestproto.Job
	// InputBytes of Shape.Input are a tar of the job's files; 0 if it has none.
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
	// Spans that the runner measured: booted, prepared, running, collected.
	Spans []schemas.Span
	// HostCPU is what running the machine cost this host.
	HostCPU time.Duration
	// Guest and MachineBytes describe the machine.
	Guest        guestproto.Ready
	GuestDigest  string
	MachineBytes int64
}
