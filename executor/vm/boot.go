package vm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
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
func (r *Runner) boot(ctx context.Context, shape executor.Shape) (*machine, error) {
	m := &machine{runner: r, bytes: machineBytes(shape.MemoryBytes), shape: shape}
	started := time.Now()
	if err := m.power(ctx); err != nil {
		return nil, err
	}
	if err := m.greet(ctx, started); err != nil {
		err = m.explain(err)
		if closing := m.Close(); closing != nil {
			err = fmt.Errorf("%w; %w", err, closing)
		}
		return nil, err
	}
	return m, nil
}

// power starts QEMU. It can be cancelled; once it has started, the machine
// lives until it is closed.
func (m *machine) power(ctx context.Context) (err error) {
	living, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })()
	users := m.runner.cfg.Users
	m.user = users.take()
	if m.qemu, err = qemu.Boot(living, m.runner.describe(m.shape, m.user)); err != nil {
		end(nil)
		users.give(m.user)
		return err
	}
	m.end = end
	return nil
}

// greet waits for the guest, and gives it its identity and root filesystem.
func (m *machine) greet(ctx context.Context, started time.Time) error {
	var err error
	if m.session, m.ready, err = session.Open(ctx, m.qemu.Channel(), session.Options{Ready: m.runner.cfg.BootTimeout}); err != nil {
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
