package vm

import (
	"context"
	"os"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/session"
)

// Bare is a machine that is ready for a job, without what a job's owner sees of it.
type Bare struct {
	*session.Session
	PID           int // QEMU's
	Input, Output *os.File
	Close         func() error
}

// BareRestored makes one from a snapshot.
func (r *Runner) BareRestored(ctx context.Context, shape executor.Shape) (*Bare, error) {
	disks, err := newDisks(r.cfg.RunDir, shape.OutputBytes)
	if err != nil {
		return nil, err
	}
	g, err := r.fromSnapshot(ctx, order{name: shape.Name, shape: shape, disks: disks})
	if err != nil {
		disks.close()
		return nil, err
	}
	return bare(&waiting{g, disks}), nil
}

// BarePooled makes one that has waited, and is adopted.
func (r *Runner) BarePooled(ctx context.Context, shape executor.Shape) (*Bare, error) {
	snap, _, err := r.Snapshot(ctx, shape)
	if err != nil {
		return nil, err
	}
	defer snap.Release()
	t := &template{store: r.host.store, id: snap.Manifest().ID}
	defer t.release()
	w, err := r.makeWaiting(ctx, t, shape)
	if err != nil {
		return nil, err
	}
	if err := w.adopt(ctx); err != nil {
		w.disks.close()
		return nil, err
	}
	return bare(w), nil
}

func bare(w *waiting) *Bare {
	return &Bare{Session: w.guest.session, PID: w.guest.qemu.PID(), Input: w.disks.input, Output: w.disks.output, Close: w.Close}
}
