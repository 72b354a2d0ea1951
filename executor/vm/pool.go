package vm

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/pool"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/schemas"
)

// waiting is a restored machine that no job has yet. It is a pool.Machine.
type waiting struct {
	guest *guest
	disks *disks
}

// Close implements pool.Machine.
func (w *waiting) Close() error {
	defer w.disks.close()
	return w.guest.close()
}

// Done implements pool.Machine.
func (w *waiting) Done() <-chan struct{} { return w.guest.qemu.Done() }

// cost is what a machine that waits takes of the host's memory, in bytes; 0 if that can't
// be told. Where the host doesn't say what is the machine's own, as to one who may not
// trace another user's process, all that is resident counts: rather too much.
func (w *waiting) cost() int64 {
	usage, err := w.guest.qemu.Usage()
	if err != nil {
		return 0
	}
	return cmp.Or(usage.Private, usage.RSS)
}

// takeWaiting returns a machine of the pool, if one waits for that shape.
func (r *Runner) takeWaiting(shape executor.Shape) *waiting {
	if r.host.pool == nil {
		return nil
	}
	key, err := r.Key(shape)
	if err != nil {
		return nil // making one will tell
	}
	id, err := key.ID()
	if err != nil {
		return nil
	}
	w, ok := r.host.pool.Take(id)
	if !ok {
		return nil
	}
	r.want(id, shape)
	return w
}

// want has machines of that snapshot wait for the next jobs.
func (r *Runner) want(id string, shape executor.Shape) {
	size := shape.Image.Pool
	if r.host.pool == nil || size != nil && size.Max == 0 {
		return
	}
	k := pool.Kind[*waiting]{Key: id, Name: kindName(shape), Measure: (*waiting).cost}
	if size != nil {
		k.Max = size.Max
		// Whoever asks for machines of another size does not have some of that wait for ever.
		if _, kept := r.host.kept.Load(id); kept {
			k.Min = size.Min
		}
	}
	t := &template{store: r.host.store, id: id}
	k.TemplateBytes, k.Release = t.bytes, t.release
	k.Make = func(ctx context.Context) (*waiting, error) { return r.makeWaiting(ctx, t, shape) }
	r.host.pool.Want(k)
}

// kindName is for metrics, so there are no more names than the operator's catalog has.
func kindName(shape executor.Shape) string {
	if shape.Image.Pool == nil && len(shape.Warmup) == 0 {
		return "other"
	}
	return shape.Image.Reference
}

// makeWaiting restores a machine and runs the image's warm-up in it once more: under
// emulation the first run of any code is five times as slow as the second.
func (r *Runner) makeWaiting(ctx context.Context, t *template, shape executor.Shape) (*waiting, error) {
	snap, err := t.acquire(ctx)
	if err != nil {
		return nil, err
	}
	disks, err := newDisks(r.cfg.RunDir, 0)
	if err != nil {
		snap.Release()
		return nil, err
	}
	g, err := r.restore(ctx, order{name: "pool-" + unique(), shape: shape, disks: disks, background: true}, snap)
	if err != nil {
		disks.close()
		return nil, err
	}
	err = g.exercise(ctx, shape)
	if err == nil {
		err = g.identify(ctx) // answered when the sandbox of the job is ready, too
	}
	if err != nil {
		disks.close()
		return nil, g.fail(err)
	}
	return &waiting{g, disks}, nil
}

// adopt gives a machine of the pool to a job: at full speed, and with the time of now.
func (w *waiting) adopt(ctx context.Context) error {
	g := w.guest
	if err := g.qemu.Foreground(); err != nil {
		g.host.cfg.Log.Warn("machine of the pool stays slow", "vm", g.qemu.Instance(), "err", err)
	}
	if cpu, err := g.qemu.CPU(); err == nil {
		g.before = cpu // the job has not caused it
	}
	g.start, g.spans = schemas.StartPooled, nil
	if err := g.identify(ctx); err != nil {
		return g.fail(fmt.Errorf("machine of the pool: %w", err))
	}
	return nil
}

// template keeps a snapshot loaded while machines of it wait, or are made.
type template struct {
	store *snapshot.Store
	id    string

	mu   sync.Mutex
	snap *snapshot.Snapshot
}

// acquire returns a hold of the caller's own.
func (t *template) acquire(ctx context.Context) (*snapshot.Snapshot, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.snap == nil {
		var err error
		if t.snap, err = t.store.Acquire(ctx, t.id); err != nil {
			return nil, err
		}
	}
	return t.store.Acquire(ctx, t.id)
}

func (t *template) bytes() int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.snap == nil {
		return 0
	}
	return t.snap.Resident()
}

func (t *template) release() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.snap != nil {
		t.snap.Release()
		t.snap = nil
	}
}

// Keep has machines wait for an image from now on, as many as its catalog entry
// wants at least. It bakes their snapshot if there is none.
func (r *Runner) Keep(ctx context.Context, shape executor.Shape) error {
	if r.host.pool == nil {
		return errors.New("this host has no pool of machines")
	}
	snap, _, err := r.Snapshot(ctx, shape)
	if err != nil {
		return err
	}
	defer snap.Release()
	id := snap.Manifest().ID
	r.host.kept.Store(id, true)
	r.want(id, shape)
	return nil
}
