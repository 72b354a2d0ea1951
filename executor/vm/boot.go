package vm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// seedBytes of the host's randomness go into each guest's generator.
const seedBytes = 64

// boot starts QEMU and leads the guest to where it can take a job.
func (r *Runner) boot(ctx context.Context, shape executor.Shape, user int) (*machine, error) {
	started := time.Now()
	// The machine outlives the start's own deadline: it ends with Close.
	vm, err := qemu.Boot(context.WithoutCancel(ctx), r.describe(shape, user))
	if err != nil {
		return nil, err
	}
	m := &machine{runner: r, user: user, qemu: vm, bytes: machineBytes(shape.MemoryBytes), shape: shape}
	ctx, cancel := context.WithTimeout(ctx, r.cfg.BootTimeout)
	defer cancel()
	if err := m.greet(ctx, started); err != nil {
		err = m.explain(err)
		return nil, errors.Join(err, m.destroy())
	}
	return m, nil
}

// greet waits for the guest, and gives it its identity and root filesystem.
func (m *machine) greet(ctx context.Context, started time.Time) error {
	var err error
	if m.session, m.ready, err = session.Open(ctx, m.qemu.Channel(), session.Options{}); err != nil {
		return fmt.Errorf("wait for the guest: %w", err)
	}
	m.since = time.Now()
	m.spans = append(m.spans, span(schemas.SpanBooted, started, m.since))
	identity, err := freshIdentity(m.qemu.Instance())
	if err != nil {
		return err
	}
	if err := m.session.Identify(ctx, identity); err != nil {
		return fmt.Errorf("give the guest its identity: %w", err)
	}
	root := guestproto.Rootfs{FS: guestproto.FSErofs, Serial: diskRoot}
	if err := m.session.Mount(ctx, root); err != nil {
		return fmt.Errorf("mount the image: %w", err)
	}
	return nil
}

// freshIdentity makes what no two machines may share. It is asked for right
// before it is sent, because it holds the time.
func freshIdentity(name string) (guestproto.Identity, error) {
	random := make([]byte, seedBytes+16)
	if _, err := rand.Read(random); err != nil {
		return guestproto.Identity{}, fmt.Errorf("read randomness for the guest: %w", err)
	}
	return guestproto.Identity{
		Entropy:   random[:seedBytes],
		ClockNS:   time.Now().UnixNano(),
		Hostname:  name,
		MachineID: hex.EncodeToString(random[seedBytes:]),
	}, nil
}

func span(name string, start, end time.Time) schemas.Span {
	return schemas.Span{Name: name, StartUS: start.UnixMicro(), EndUS: end.UnixMicro()}
}
