package executor

import (
	"slices"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/internal/archive"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// WarmupRun is one command of an image's warm-up: it runs as a job of the image
// would, and the machine's runner sets how much memory and scratch it may use.
type WarmupRun struct {
	Job guestproto.Job
	// Files is a tar that is unpacked at / first. Nil for none.
	Files *imagesync.WarmupFiles
}

// NewShape describes a machine for jobs of an image within the given limits, of
// which none is left out.
func NewShape(image *imagesync.Image, limits schemas.Limits) Shape {
	return Shape{
		Image:       image,
		Warmup:      warmupRuns(image),
		CPUs:        int((limits.CPUsMilli() + 999) / 1000),
		MemoryBytes: limits.MemoryBytes + limits.ScratchBytes,
		OutputBytes: OutputDisk(limits.OutputBytes),
	}
}

// outputHeaders is the room among outputs for headers and padding beyond
// the limit, which counts content, in bytes: 2 KiB for each entry of an archive.
const outputHeaders = archive.DefaultMaxEntries * 2 << 10

// OutputDisk is the room, in bytes, that outputs within a limit can take.
func OutputDisk(limit int64) int64 { return limit + outputHeaders }

// warmupRuns turns the image's warm-up into jobs.
func warmupRuns(image *imagesync.Image) []WarmupRun {
	runs := make([]WarmupRun, 0, len(image.Warmup))
	for _, w := range image.Warmup {
		config := image.Config
		config.Env = slices.Concat(config.Env, w.Env)
		runs = append(runs, WarmupRun{Files: w.Files, Job: guestproto.Job{
			Argv:   w.Argv,
			Env:    environment(schemas.JobSpec{}, config),
			Cwd:    schemas.DefaultCwd,
			User:   config.User,
			Limits: guestproto.Limits{WallMS: w.Timeout.Milliseconds(), Log: schemas.StdioHead},
			Input:  guestproto.Input{Via: guestproto.ViaNone, Root: true},
			Output: guestproto.Output{Via: guestproto.ViaNone},
			Stdin:  guestproto.Stdin{Via: guestproto.ViaNone},
		}})
	}
	return runs
}
