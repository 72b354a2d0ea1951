package vm

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/program-explorer/pe/executor/qemu"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/executor/snapshot"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// guest is a running machine that can be talked to. Its disks belong to others.
type guest struct {
	host    *Host
	user    int
	qemu    *qemu.Machine
	session *session.Session
	ready   guestproto.Ready
	// machineID stays as long as the machine lives, like its name: a guest readies
	// its next sandbox with both.
	machineID string
	// snap is what it was restored from; nil for one that booted.
	snap  *snapshot.Snapshot
	start string         // schemas.StartBooted and its like
	spans []schemas.Span // how it got ready
	// before is what it cost the host before its job came.
	before time.Duration
	// end lets go of what waits for the machine's end.
	end     context.CancelCauseFunc
	closing sync.Once
	closed  error
}

// power starts QEMU as an unprivileged user. It can be cancelled; once it has
// started, the machine lives until it is closed.
func (h *Host) power(ctx context.Context, c qemu.Config, start func(context.Context, qemu.Config) (*qemu.Machine, error)) (*guest, error) {
	living, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer context.AfterFunc(ctx, func() { end(context.Cause(ctx)) })()
	g := &guest{host: h, user: h.users.take(), machineID: newMachineID(), end: end}
	c.User = h.slotUser(g.user)
	var err error
	if g.qemu, err = start(living, c); err != nil {
		end(nil)
		h.users.give(g.user)
		return nil, err
	}
	return g, nil
}

// identify gives the guest what no two machines may share, the time above all. A
// restored guest is slow at first, and is told again until its clock is right.
func (g *guest) identify(ctx context.Context) error {
	fresh := func() (guestproto.Identity, error) { return freshIdentity(g.qemu.Instance(), g.machineID) }
	wrong, err := g.session.Settle(ctx, clockError, fresh)
	if err != nil {
		return fmt.Errorf("give the guest its identity: %w", err)
	}
	if wrong > clockError {
		g.host.cfg.Log.Warn("host too busy to set a machine's clock right", "vm", g.qemu.Instance(), "wrong_by", wrong)
	}
	return nil
}

const (
	// clockError is by how much a guest's clock may be wrong, where the host is not
	// too busy for that.
	clockError = 40 * time.Millisecond
	// seedBytes of the host's randomness go into each guest's generator.
	seedBytes = 64
)

// freshIdentity is made right before it is sent, because it holds the time.
func freshIdentity(name, machineID string) (guestproto.Identity, error) {
	random := make([]byte, seedBytes)
	if _, err := rand.Read(random); err != nil {
		return guestproto.Identity{}, fmt.Errorf("read randomness for the guest: %w", err)
	}
	return guestproto.Identity{Entropy: random, ClockNS: time.Now().UnixNano(), Hostname: name, MachineID: machineID}, nil
}

// newMachineID is as in /etc/machine-id.
func newMachineID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	return hex.EncodeToString(id[:])
}

func span(name string, start, end time.Time) schemas.Span {
	return schemas.Span{Name: name, StartUS: start.UnixMicro(), EndUS: end.UnixMicro()}
}

// explain adds what QEMU and the guest's console know of a machine that has died or hangs.
func (g *guest) explain(err error) error {
	select {
	case <-g.qemu.Done():
		return fmt.Errorf("%w; %w", err, g.qemu.Err())
	case <-time.After(deathNotice):
	}
	if text := lastLines(g.qemu.Console()); text != "" {
		return fmt.Errorf("%w; the guest's console ends with: %s", err, text)
	}
	return err
}

// deathNotice is how long a broken channel may precede the news of QEMU's end.
const deathNotice = 100 * time.Millisecond

// consoleExcerpt is how much of the console an error quotes, in bytes.
const consoleExcerpt = 400

// lastLines makes the console's end fit for one line: it is the guest's, so it is quoted.
func lastLines(console []byte) string {
	text := strings.TrimSpace(string(console[max(0, len(console)-consoleExcerpt):]))
	if text == "" {
		return ""
	}
	return strconv.Quote(text)
}

// fail ends a guest that did not get ready, and says why it did not.
func (g *guest) fail(err error) error {
	err = g.explain(err)
	if closing := g.close(); closing != nil {
		err = fmt.Errorf("%w; %w", err, closing)
	}
	return err
}

// close ends the machine. It may be called again.
func (g *guest) close() error {
	g.closing.Do(func() { g.closed = g.destroy() })
	return g.closed
}

func (g *guest) destroy() error {
	if g.session != nil {
		g.session.Close()
	}
	err := g.qemu.Close()
	g.end(nil)
	if g.snap != nil {
		g.snap.Release()
	}
	if err == nil {
		// A QEMU that does not die keeps its user to itself.
		g.host.users.give(g.user)
	}
	return err
}
