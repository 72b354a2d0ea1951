package vm

import (
	"context"
	"fmt"

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
	if reason := executor.Unsuccessful(out.Exit); reason != "" {
		return fmt.Errorf("rehearsal: %s", reason)
	}
	return nil
}

// warm runs one command, which may write as much as there is room for, in bytes. An
// error of the command's own is a *executor.WarmupError.
func (g *guest) warm(ctx context.Context, w executor.WarmupRun, room int64) error {
	w.Job.Limits.Scratch = room
	return w.Run(ctx, g.session.Run)
}
