//go:build linux

package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// What an image's warm-up may take.
const (
	warmupRoom   = 256 << 20 // bytes that it writes
	warmupMemory = 1 << 30   // bytes, with those
	warmupPIDs   = 1024
)

// warmupKey names what machines of the shape have below them: the image, and all that shapes what its warm-up writes.
func warmupKey(r *Runner, shape executor.Shape) string {
	h := sha256.New()
	e := json.NewEncoder(h)
	_ = e.Encode([]string{r.cfg.Kind, shape.Image.ErofsSHA256, r.digest})
	for _, w := range shape.Warmup {
		files := ""
		if w.Files != nil {
			files = w.Files.SHA256
		}
		_ = e.Encode([]any{w.Job, files})
	}
	return hex.EncodeToString(h.Sum(nil))
}

// prepared returns what the image's warm-up wrote; the commands run now if they never did.
func (r *Runner) prepared(ctx context.Context, shape executor.Shape) (*lease, error) {
	if len(shape.Warmup) == 0 {
		return nil, nil
	}
	return r.layers.get(ctx, warmupKey(r, shape), func(ctx context.Context, dir string) error {
		for n, w := range shape.Warmup {
			if err := r.warm(ctx, dir, n, w, shape); err != nil {
				return err
			}
		}
		return nil
	})
}

// warm runs the n-th command in a machine of its own, over what the others wrote, and keeps what it writes.
func (r *Runner) warm(ctx context.Context, dir string, n int, w executor.WarmupRun, shape executor.Shape) (err error) {
	held, err := lockShared(dir)
	if err != nil {
		return err
	}
	g, err := r.boot(ctx, "warm-"+unique(), shape.Image, &lease{dir, held})
	if err != nil {
		return err
	}
	defer func() {
		if closing := g.close(); err == nil {
			err = closing
		}
	}()
	if err := g.warm(ctx, w); err != nil {
		return err
	}
	if err := g.machine.Kill(); err != nil { // nothing may write any more
		return err
	}
	base := 0
	if g.users != nil {
		base = g.users.Base
	}
	return freeze(g.machine.Upper(), filepath.Join(dir, strconv.Itoa(n)), base)
}

// lastWords is how much of what a failed warm-up said is told, in bytes.
const lastWords = 400

// warm runs one command. An error of the command's own is a *executor.WarmupError.
func (g *guest) warm(ctx context.Context, w executor.WarmupRun) error {
	job := w.Job
	job.Limits.Scratch, job.Limits.Memory, job.Limits.PIDs = warmupRoom, warmupMemory, warmupPIDs
	request := session.Request{Job: &job}
	if w.Files != nil {
		files, err := w.Files.Open()
		if err != nil {
			return &executor.WarmupError{Argv: job.Argv, Reason: err.Error()}
		}
		defer files.Close()
		job.Input.Via = guestproto.ViaChannel
		request.Input = files
	}
	var said []byte
	say := func(p []byte) {
		said = append(said, p...)
		said = said[max(0, len(said)-lastWords):]
	}
	request.Stdout, request.Stderr = say, say
	out, err := g.Run(ctx, request)
	if err != nil {
		return fmt.Errorf("warm-up %q: %w", job.Argv, g.explain(err))
	}
	quoted := ""
	if text := strings.TrimSpace(string(said)); text != "" {
		quoted = fmt.Sprintf("; it said last: %q", text)
	}
	if out.Exit.Limit == guestproto.LimitWall {
		// On another day, or another host, it may be in time.
		return fmt.Errorf("warm-up %q took longer than %d ms%s", job.Argv, job.Limits.WallMS, quoted)
	}
	if reason := unsuccessful(out.Exit); reason != "" {
		return &executor.WarmupError{Argv: job.Argv, Reason: reason + quoted}
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
