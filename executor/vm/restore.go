package vm

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// unique tells machines apart whose names nobody gave.
func unique() string { return strings.ToLower(rand.Text()[:12]) }

// restore starts a machine from a snapshot and makes it unlike all others. It
// takes the snapshot over: the guest's end releases it. One that can't be restored is
// set aside.
func (r *Runner) restore(ctx context.Context, o order, snap *snapshot.Snapshot) (*guest, error) {
	started := time.Now()
	g, err := r.revive(ctx, o, snap)
	if err != nil {
		err = r.blame(ctx, snap, err)
		snap.Release()
		return nil, err
	}
	r.host.suspect(snap.Manifest().ID, false)
	g.snap = snap
	g.start = schemas.StartRestored
	g.spans = append(g.spans, span(schemas.SpanRestored, started, time.Now()))
	return g, nil
}

func (r *Runner) revive(ctx context.Context, o order, snap *snapshot.Snapshot) (*guest, error) {
	note, err := ReadNote(snap.Manifest())
	if err != nil {
		return nil, err
	}
	if v := note.Ready.Protocol; v != guestproto.Version {
		// A later executor with the same guest: to boot it tells the same.
		return nil, fmt.Errorf("the snapshot's guest speaks protocol %d, version %d wanted: install guests of this version", v, guestproto.Version)
	}
	c := r.describe(o)
	c.Disks = append([]qemu.Disk{{Name: diskRoot, File: snap.Rootfs(), ReadOnly: true}}, c.Disks...)
	g, err := r.host.power(ctx, c, snap.Restore)
	if err != nil {
		return nil, err
	}
	g.ready = note.Ready
	g.session = session.Resume(g.qemu.Channel(), session.Options{Runs: note.Runs})
	if err := g.identify(ctx); err != nil {
		return nil, g.fail(err)
	}
	return g, nil
}

// fromSnapshot makes a machine from the snapshot for its shape, which it bakes if
// there is none.
func (r *Runner) fromSnapshot(ctx context.Context, o order) (*guest, error) {
	began := time.Now()
	snap, baked, err := r.Snapshot(ctx, o.shape)
	if err != nil {
		return nil, &fallback{bakeReason(err), err}
	}
	got := time.Now()
	id := snap.Manifest().ID
	g, err := r.restore(ctx, o, snap)
	if err != nil {
		return nil, &fallback{reasonRestore, err}
	}
	r.want(id, o.shape)
	if baked {
		g.spans = append([]schemas.Span{span(schemas.SpanBooted, began, got)}, g.spans...)
	}
	return g, nil
}

// blame sets the snapshot aside: at once if it is not what it was, else when it has failed
// twice in a row, since a host that is too busy, or has no room, fails good ones.
// It must be the one that failed: under its key there may be a new one by now.
func (r *Runner) blame(ctx context.Context, snap *snapshot.Snapshot, why error) error {
	if lacksRoom(why) || ctx.Err() != nil {
		return why
	}
	if !errors.Is(why, snapshot.ErrBroken) && !r.host.suspect(snap.Manifest().ID, true) {
		return why
	}
	done, err := snap.SetAside(why)
	if err != nil {
		return errors.Join(why, err)
	}
	if done {
		r.host.metrics.setAside.Inc()
		r.host.evict(snap.Manifest().ID)
	}
	return why
}

// lacksRoom says that a machine could not be had for lack of something on the host. Nobody but
// the kernel, when memory is short, ends a QEMU by SIGKILL besides us.
func lacksRoom(why error) bool {
	for _, lack := range []error{syscall.ENOMEM, syscall.EAGAIN, syscall.EMFILE, syscall.ENFILE, syscall.ENOSPC} {
		if errors.Is(why, lack) {
			return true
		}
	}
	var end *qemu.ExitError
	return errors.As(why, &end) && end.Killed == nil && end.Signal() == syscall.SIGKILL
}

// fallback is why a job's machine has to boot.
type fallback struct {
	reason string // for metrics
	err    error
}

func (f *fallback) Error() string { return fmt.Sprintf("no machine from a snapshot: %v", f.err) }
func (f *fallback) Unwrap() error { return f.err }

// Reasons of a fallback.
const (
	reasonRefused = "bake-refused"
	reasonBake    = "bake-failed"
	reasonRestore = "restore-failed"
)

func bakeReason(err error) string {
	if errors.Is(err, errBakeRefused) {
		return reasonRefused
	}
	return reasonBake
}
