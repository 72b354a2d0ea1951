package executor

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/program-explorer/pe/executor/session"
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

// Run takes the command through a machine's session; run is its Run. An error of the
// command's own is a *WarmupError.
func (w WarmupRun) Run(ctx context.Context, run func(context.Context, session.Request) (session.Outcome, error)) error {
	job := w.Job
	request := session.Request{Job: &job}
	if w.Files != nil {
		files, err := w.Files.Open()
		if err != nil {
			return &WarmupError{Argv: job.Argv, Reason: err.Error()}
		}
		defer files.Close()
		// The size is for the session's deadline: they may be much more than a job's inputs.
		job.Input.Via, job.Input.Size = guestproto.ViaChannel, w.Files.Size
		request.Input = files
	}
	var said lastWords
	request.Stdout, request.Stderr = said.write, said.write
	out, err := run(ctx, request)
	if err != nil {
		return fmt.Errorf("warm-up %q: %w", job.Argv, err)
	}
	if out.Exit.Limit == guestproto.LimitWall {
		// On another day, or another host, it may be in time.
		return fmt.Errorf("warm-up %q took longer than %d ms%s", job.Argv, job.Limits.WallMS, said.quote())
	}
	if reason := Unsuccessful(out.Exit); reason != "" {
		return &WarmupError{Argv: job.Argv, Reason: reason + said.quote()}
	}
	return nil
}

// Unsuccessful is how a command failed, in words; empty if it did not.
func Unsuccessful(exit guestproto.Exit) string {
	switch {
	case exit.Limit != "":
		return "it hit the limit " + exit.Limit
	case exit.NotStarted:
		return "it could not be started: " + exit.Message
	case exit.Signal != 0:
		return fmt.Sprintf("signal %d", exit.Signal)
	case exit.Code != 0:
		return fmt.Sprintf("exit code %d", exit.Code)
	}
	return ""
}

// lastWords are the end of what a command writes.
type lastWords struct{ kept []byte }

// maxLastWords is how much of it is told, in bytes.
const maxLastWords = 400

func (l *lastWords) write(p []byte) {
	l.kept = append(l.kept, p...)
	if extra := len(l.kept) - maxLastWords; extra > 0 {
		l.kept = append(l.kept[:0], l.kept[extra:]...)
	}
}

func (l *lastWords) quote() string {
	text := strings.TrimSpace(string(l.kept))
	if text == "" {
		return ""
	}
	return fmt.Sprintf("; it said last: %q", text)
}
