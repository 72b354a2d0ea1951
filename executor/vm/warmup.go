package vm

import (
	"context"
	"fmt"
	"strings"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// prepare runs the image's warm-up, and makes what it writes a part of the image.
func (g *guest) prepare(ctx context.Context, shape executor.Shape) error {
	room := int64(warmupRoom)
	for _, w := range shape.Warmup {
		if room <= 0 {
			return &executor.WarmupError{Argv: w.Job.Argv, Reason: fmt.Sprintf("the commands before it wrote all of the %d MiB that a warm-up may", warmupRoom>>20)}
		}
		if err := g.warm(ctx, w, room); err != nil {
			return err
		}
		wrote, err := g.session.Freeze(ctx)
		if err != nil {
			return fmt.Errorf("keep what the warm-up wrote: %w", err)
		}
		room -= wrote
	}
	return nil
}

// settle leads a guest to where nothing goes on in it, so that it can be saved: its
// own code warm, and the next run's sandbox ready.
func (g *guest) settle(ctx context.Context, shape executor.Shape) error {
	if len(shape.Warmup) == 0 {
		if err := g.rehearse(ctx); err != nil {
			return err
		}
	}
	return g.identify(ctx)
}

// exercise runs the warm-up once more in a restored machine. It leaves nothing
// that a job could see: all that stays is code that the emulator has translated.
func (g *guest) exercise(ctx context.Context, shape executor.Shape) error {
	if len(shape.Warmup) == 0 {
		return g.rehearse(ctx)
	}
	for _, w := range shape.Warmup {
		if err := g.warm(ctx, w, warmupRoom); err != nil {
			return err
		}
	}
	return nil
}

// rehearsalWall is how long a run of nothing may take, in milliseconds.
const rehearsalWall = 30_000

// rehearse goes through a run without a program of the image: the next one finds
// the guest's own code warm, at least.
func (g *guest) rehearse(ctx context.Context) error {
	job := guestproto.Job{
		Rehearse: true,
		Cwd:      schemas.DefaultCwd,
		Limits:   guestproto.Limits{WallMS: rehearsalWall, Scratch: warmupRoom, Log: schemas.StdioHead},
		Input:    guestproto.Input{Via: guestproto.ViaNone},
		Output:   guestproto.Output{Via: guestproto.ViaNone},
		Stdin:    guestproto.Stdin{Via: guestproto.ViaNone},
	}
	out, err := g.session.Run(ctx, session.Request{Job: &job})
	if err != nil {
		return fmt.Errorf("rehearsal: %w", err)
	}
	if reason := unsuccessful(out.Exit); reason != "" {
		return fmt.Errorf("rehearsal: %s", reason)
	}
	return nil
}

// lastWords is how much of what a failed warm-up said is told, in bytes.
const lastWords = 400

// warm runs one command, which may write as much as there is room for, in bytes. An
// error of the command's own is a *executor.WarmupError.
func (g *guest) warm(ctx context.Context, w executor.WarmupRun, room int64) error {
	job := w.Job
	job.Limits.Scratch = room
	request := session.Request{Job: &job}
	if w.Files != nil {
		files, err := w.Files.Open()
		if err != nil {
			return &executor.WarmupError{Argv: job.Argv, Reason: err.Error()}
		}
		defer files.Close()
		// The size is for the session's deadline: they may be much more than a job's inputs.
		job.Input.Via, job.Input.Size = guestproto.ViaChannel, w.Files.Size
		request.Input = files
	}
	var said tail
	request.Stdout, request.Stderr = said.write, said.write
	out, err := g.session.Run(ctx, request)
	if err != nil {
		return fmt.Errorf("warm-up %q: %w", job.Argv, err)
	}
	if out.Exit.Limit == guestproto.LimitWall {
		// On another day, or another host, it may be in time.
		return fmt.Errorf("warm-up %q took longer than %d ms%s", job.Argv, job.Limits.WallMS, said.quote())
	}
	if reason := unsuccessful(out.Exit); reason != "" {
		return &executor.WarmupError{Argv: job.Argv, Reason: reason + said.quote()}
	}
	return nil
}

// unsuccessful is how a command failed; empty if it did not.
func unsuccessful(exit guestproto.Exit) string {
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

// tail keeps the end of what a command writes.
type tail struct{ kept []byte }

func (t *tail) write(p []byte) {
	t.kept = append(t.kept, p...)
	if extra := len(t.kept) - lastWords; extra > 0 {
		t.kept = append(t.kept[:0], t.kept[extra:]...)
	}
}

func (t *tail) quote() string {
	text := strings.TrimSpace(string(t.kept))
	if text == "" {
		return ""
	}
	return fmt.Sprintf("; it said last: %q", text)
}
