//go:build linux

package oci

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"path/filepath"
	"strconv"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
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

// warm runs one command. An error of the command's own is a *executor.WarmupError.
func (g *guest) warm(ctx context.Context, w executor.WarmupRun) error {
	w.Job.Limits.Scratch, w.Job.Limits.Memory, w.Job.Limits.PIDs = warmupRoom, warmupMemory, warmupPIDs
	return w.Run(ctx, func(ctx context.Context, request session.Request) (session.Outcome, error) {
		out, err := g.Run(ctx, request)
		if err != nil {
			err = g.explain(err)
		}
		return out, err
	})
}
