package vm

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Note is what a snapshot's manifest keeps for those who talk to its machines,
// and for people.
type Note struct {
	// Image is the reference, Digest the platform's manifest.
	Image  string `json:"image"`
	Digest string `json:"digest"`
	Arch   string `json:"arch"`
	CPUs   int    `json:"cpus"`
	// Runs is how many the guest has had: it takes none of their numbers again.
	Runs  uint16           `json:"runs"`
	Ready guestproto.Ready `json:"ready"`
}

// ReadNote decodes the note in a manifest.
func ReadNote(m snapshot.Manifest) (Note, error) {
	var n Note
	if err := json.Unmarshal(m.Note, &n); err != nil {
		return n, fmt.Errorf("snapshot %s has no note of ours: %w", m.ID, err)
	}
	return n, nil
}

// Key is everything that shapes the state of a machine that is baked for the shape.
func (r *Runner) Key(shape executor.Shape) (snapshot.Key, error) {
	c := r.describe(order{name: "any", shape: shape, disks: &disks{input: os.Stdin, output: os.Stdin}})
	c.Disks = append([]qemu.Disk{{Name: diskRoot, Path: shape.Image.ErofsPath, ReadOnly: true}}, c.Disks...)
	recipe, err := qemu.Recipe(c)
	if err != nil {
		return snapshot.Key{}, err
	}
	key := snapshot.Key{
		Recipe:    append(recipe, fmt.Sprintf("output=%d", standardOutput)),
		Memory:    c.Memory,
		QEMU:      r.qemuFile,
		Kernel:    snapshot.File{SHA256: r.cfg.Bundle.KernelSHA256},
		Initramfs: snapshot.File{SHA256: r.cfg.Bundle.InitramfsSHA256},
		Rootfs:    snapshot.File{SHA256: shape.Image.ErofsSHA256, Size: shape.Image.ErofsSize},
	}
	if r.cfg.Accel != qemu.TCG {
		// The guest sees the host's own processor.
		key.Recipe = append(key.Recipe, "host="+r.cfg.HostCPU)
	}
	for _, w := range shape.Warmup {
		command := snapshot.Warmup{Argv: w.Job.Argv, Env: w.Job.Env, User: w.Job.User, TimeoutMS: w.Job.Limits.WallMS}
		if w.Files != nil {
			command.Files = &snapshot.File{SHA256: w.Files.SHA256, Size: w.Files.Size}
		}
		key.Warmup = append(key.Warmup, command)
	}
	return key, nil
}

// Snapshot finds the snapshot for the shape, or bakes it: baked says which. The
// caller releases it.
func (r *Runner) Snapshot(ctx context.Context, shape executor.Shape) (_ *snapshot.Snapshot, baked bool, err error) {
	store := r.host.store
	if store == nil {
		return nil, false, errors.New("this host keeps no snapshots")
	}
	key, err := r.Key(shape)
	if err != nil {
		return nil, false, err
	}
	id, err := key.ID()
	if err != nil {
		return nil, false, err
	}
	snap, err := store.Acquire(ctx, id)
	if err == nil || !errors.Is(err, snapshot.ErrNotFound) && !errors.Is(err, snapshot.ErrBroken) {
		return snap, false, err
	}
	done, err := r.host.bakes.begin(ctx, shape.Tenant, id)
	if err != nil {
		return nil, false, err
	}
	begun := time.Now()
	snap, baked, err = store.Get(ctx, key, shape.Image.ErofsPath, r.bake(shape, id))
	done(ctx, err)
	if baked {
		r.host.metrics.baked(time.Since(begun))
	}
	if baked || err != nil { // a full disk is seen by bakes that fail
		r.host.collectSoon()
	}
	return snap, baked, err
}

// bake boots a machine for the shape, readies it for the image, and saves it.
func (r *Runner) bake(shape executor.Shape, id string) snapshot.Bake {
	return func(ctx context.Context, d snapshot.Draft) (_ json.RawMessage, err error) {
		if err := r.host.bakes.pay(shape.Tenant); err != nil {
			return nil, err
		}
		disks, err := newDisks(r.cfg.RunDir, 0)
		if err != nil {
			return nil, err
		}
		defer disks.close()
		o := order{name: "bake-" + id[:12] + "-" + unique(), shape: shape, disks: disks}
		g, err := r.boot(ctx, o, d.Rootfs, d.RAM)
		if err != nil {
			return nil, err
		}
		// Nothing may write to the draft when this returns.
		defer func() { err = errors.Join(err, g.close()) }()
		if err := g.settle(ctx, shape); err != nil {
			return nil, g.explain(err)
		}
		note, err := json.Marshal(Note{
			Image: shape.Image.Reference, Digest: shape.Image.Digest, Arch: r.cfg.Bundle.Arch,
			CPUs: processors(shape), Runs: g.session.Runs(), Ready: g.ready,
		})
		if err != nil {
			return nil, err
		}
		g.rest(ctx)
		if err := g.qemu.Bake(ctx, d.State); err != nil {
			return nil, g.explain(err)
		}
		return note, nil
	}
}

// digestOf names a file by its content.
func digestOf(path string) (snapshot.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return snapshot.File{}, err
	}
	defer f.Close()
	hash := sha256.New()
	n, err := io.Copy(hash, f)
	if err != nil {
		return snapshot.File{}, fmt.Errorf("read %s: %w", path, err)
	}
	return snapshot.File{SHA256: hex.EncodeToString(hash.Sum(nil)), Size: n}, nil
}
