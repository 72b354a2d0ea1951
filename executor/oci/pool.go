//go:build linux

package oci

import (
	"context"
	"errors"
	"sync"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/pool"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
)

// waiting is a machine that no job has yet. It is a pool.Machine.
type waiting struct{ *guest }

// Close implements pool.Machine.
func (w *waiting) Close() error { return w.close() }

// Done implements pool.Machine.
func (w *waiting) Done() <-chan struct{} { return w.machine.Done() }

// cost is what a machine that waits takes of the host's memory, in bytes.
func (w *waiting) cost() int64 { return w.machine.Usage().Held }

// guessedCost is what one is thought to take before any was made, in bytes.
const guessedCost = 48 << 20

// make makes a machine for the shape, whose image's warm-up has run once on this host.
func (r *Runner) make(ctx context.Context, name string, shape executor.Shape) (*guest, error) {
	over, err := r.prepared(ctx, shape)
	if err != nil {
		return nil, err
	}
	g, err := r.boot(ctx, name, shape.Image, over)
	if err == nil {
		r.want(shape)
	}
	return g, err
}

// takeWaiting returns a machine of the pool, if one waits for that image.
func (r *Runner) takeWaiting(shape executor.Shape) *guest {
	if r.pool == nil {
		return nil
	}
	w, ok := r.pool.Take(warmupKey(r, shape))
	if !ok {
		return nil
	}
	r.want(shape)
	w.start, w.spans = schemas.StartPooled, nil
	w.before = w.machine.Usage().CPU // the job has not caused it
	return w.guest
}

// want has machines of the image wait for the next jobs. A job's limits are set when it comes, so
// that all jobs of an image share them.
func (r *Runner) want(shape executor.Shape) {
	size := shape.Image.Pool
	if r.pool == nil || size != nil && size.Max == 0 {
		return
	}
	t := &template{runner: r, image: shape.Image}
	k := pool.Kind[*waiting]{
		Key: warmupKey(r, shape), Name: kindName(shape), MachineBytes: guessedCost, Measure: (*waiting).cost, Release: t.release,
		Make: func(ctx context.Context) (*waiting, error) {
			if err := t.hold(ctx); err != nil {
				return nil, err
			}
			over, err := r.prepared(ctx, shape)
			if err != nil {
				return nil, err
			}
			g, err := r.boot(ctx, "pool-"+unique(), shape.Image, over)
			if err != nil {
				return nil, err
			}
			return &waiting{g}, nil
		},
	}
	if size != nil {
		k.Min, k.Max = size.Min, size.Max
	}
	r.pool.Want(k)
}

// template keeps an image mounted while machines of it wait, or are made: its job, and the hold on its
// file, are long over by then.
type template struct {
	runner *Runner
	image  *imagesync.Image

	mu   sync.Mutex
	kept *guest // of which there is nothing but the image
}

func (t *template) hold(ctx context.Context) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept != nil {
		return nil
	}
	g := &guest{runner: t.runner}
	if _, err := g.mount(ctx, t.image); err != nil {
		return err
	}
	t.kept = g
	return nil
}

func (t *template) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.kept != nil {
		_ = t.kept.close() // it has nothing that can fail to end
		t.kept = nil
	}
}

// kindName is for metrics, so there are no more names than the operator's catalog has.
func kindName(shape executor.Shape) string {
	if shape.Image.Pool == nil && len(shape.Warmup) == 0 {
		return "other"
	}
	return shape.Image.Reference
}

// Keep has machines wait for an image from now on, as many as its catalog entry wants at least.
func (r *Runner) Keep(ctx context.Context, shape executor.Shape) error {
	if err := r.cfg.allowed(shape.Image); err != nil {
		return err
	}
	if r.pool == nil {
		return errors.New("this host has no pool of machines")
	}
	over, err := r.prepared(ctx, shape)
	if err != nil {
		return err
	}
	over.release()
	r.want(shape)
	return nil
}
