//go:build linux

package oci

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/ocirun"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// guest is a machine that can be talked to. It has one run.
type guest struct {
	runner  *Runner
	machine *ocirun.Machine
	session *session.Session
	ready   guestproto.Ready
	users   *ocirun.Users
	root    *ocirun.Root // nil: extracted is the image
	// extracted and layers keep folders: the image's tree, and what its warm-up wrote over it.
	extracted, layers *lease
	start             string // schemas.StartBooted and its like
	spans             []schemas.Span
	before            time.Duration // processor time that it cost before its job came

	closing sync.Once
	closed  error
}

// scratchAtFirst is a machine's scratch until its job is known, in bytes.
const scratchAtFirst = 64 << 20

// boot makes a machine on an image and layers over it, ready for its run.
func (r *Runner) boot(ctx context.Context, name string, image *imagesync.Image, over *lease) (*guest, error) {
	begun := time.Now()
	g := &guest{runner: r, start: schemas.StartBooted, layers: over}
	err := g.raise(ctx, name, image)
	if err != nil {
		return nil, g.fail(err)
	}
	g.spans = []schemas.Span{span(schemas.SpanBooted, begun, time.Now())}
	return g, nil
}

func (g *guest) raise(ctx context.Context, name string, image *imagesync.Image) (err error) {
	r := g.runner
	below, err := g.mount(ctx, image)
	if err != nil {
		return err
	}
	if r.ranges != nil {
		if g.users, err = r.ranges.Take(); err != nil {
			return err
		}
	}
	c := ocirun.Config{
		Instance: name, Hostname: name, Runtime: r.runtime, RunDir: r.cfg.RunDir,
		Guest: r.guest, GuestArgs: []string{"contained"},
		Layers: append(g.layers.paths(), below), Users: g.users, Cgroups: r.cgroups,
		Limits: ocirun.Limits{ScratchBytes: scratchAtFirst},
	}
	if r.cfg.Kind == schemas.IsolationGVisor {
		c.GuestArgs = append(c.GuestArgs, "gvisor")
	}
	if g.machine, err = ocirun.Boot(ctx, c); err != nil {
		return err
	}
	if g.session, g.ready, err = session.Open(ctx, g.machine.Channel(), session.Options{}); err != nil {
		return fmt.Errorf("wait for the guest: %w", err)
	}
	g.ready.CPUModel = r.cpu
	identity, err := freshIdentity(name)
	if err != nil {
		return err
	}
	if err := g.session.Identify(ctx, identity); err != nil {
		return fmt.Errorf("give the guest its identity: %w", err)
	}
	if err := g.session.Mount(ctx, guestproto.Rootfs{FS: guestproto.FSHost}); err != nil {
		return fmt.Errorf("tell the guest of its root: %w", err)
	}
	return nil
}

// mount returns the folder with the image: mounted, or where the kernel can't do that, extracted.
func (g *guest) mount(ctx context.Context, image *imagesync.Image) (path string, err error) {
	r := g.runner
	if !r.cfg.Extract {
		g.root, err = r.roots.Mount(image.ErofsSHA256, image.ErofsPath)
		if err == nil {
			return g.root.Path, nil
		}
		if !errors.Is(err, unix.ENODEV) {
			return "", err
		}
	}
	if g.extracted, err = r.extracted(ctx, image); err != nil {
		return "", err
	}
	return g.extracted.paths()[0], nil
}

// freshIdentity is made of the machine's name and randomness. Contained machines take the time, and
// their own randomness, from the host.
func freshIdentity(name string) (guestproto.Identity, error) {
	random := make([]byte, 64+16)
	if _, err := rand.Read(random); err != nil {
		return guestproto.Identity{}, fmt.Errorf("read randomness for the guest: %w", err)
	}
	return guestproto.Identity{
		Entropy: random[:64], ClockNS: time.Now().UnixNano(), Hostname: name, MachineID: hex.EncodeToString(random[64:]),
	}, nil
}

func span(name string, start, end time.Time) schemas.Span {
	return schemas.Span{Name: name, StartUS: start.UnixMicro(), EndUS: end.UnixMicro()}
}

// explain adds what the machine's end says of a broken conversation.
func (g *guest) explain(err error) error {
	if g.machine == nil {
		return err
	}
	if text := g.machine.Console(); text != "" {
		return fmt.Errorf("%w; the guest's stderr ends with: %s", err, text)
	}
	return err
}

// fail ends a guest that did not get ready, and says why it did not.
func (g *guest) fail(err error) error {
	return errors.Join(g.explain(err), g.close())
}

// close ends the machine and lets go of what it held. It may be called again.
func (g *guest) close() error {
	g.closing.Do(func() { g.closed = g.destroy() })
	return g.closed
}

func (g *guest) destroy() error {
	if g.session != nil {
		g.session.Close()
	}
	var err error
	if g.machine != nil {
		err = g.machine.Close()
	}
	if g.users != nil && err == nil {
		// A machine that does not go keeps its users to itself.
		g.runner.ranges.Give(g.users)
	}
	if g.root != nil {
		g.root.Release()
	}
	g.layers.release()
	g.extracted.release()
	return err
}

// machineBytes is what a job of the shape may use: there is no memory of a machine's own.
func machineBytes(shape executor.Shape) int64 { return shape.MemoryBytes }
