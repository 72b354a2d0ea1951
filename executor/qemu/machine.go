package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"
)

// closeTimeout bounds how long Close waits for a killed QEMU. One that hangs in
// the host's kernel must not hang the executor with it.
const closeTimeout = 10 * time.Second

// lastWords is how long a QEMU that closed its monitor has to end by itself.
const lastWords = time.Second

// ErrClosed is the cause of an end by Kill or Close.
var ErrClosed = errors.New("machine closed")

// Machine is one running QEMU. Its methods may be called at any time and from
// several goroutines.
type Machine struct {
	instance string
	log      *slog.Logger
	bakeable bool // its memory is in a file
	process  *process
	qmp      *qmp
	channel  net.Conn
	console  *tail
	sign     chan struct{} // closed at the console's first byte
	messages *tail         // QEMU's own stderr

	resumed  chan struct{} // one element when the guest's CPUs were started
	migrated chan string   // one element when Bake's saving has ended: how

	mu       sync.Mutex
	shutdown string // why QEMU says that the guest ended
	killed   error  // why we ended it

	done chan struct{}
	err  error // set before done is closed
}

// Boot starts a machine, and returns when QEMU runs and its monitor answers,
// which is before the guest's first instruction or a few milliseconds after:
// that the guest is ready is for the caller to see on the Channel. The machine
// lives until it is closed, ends by itself or ctx ends; the caller must Close it.
func Boot(ctx context.Context, c Config) (*Machine, error) {
	c.template = nil
	m, _, err := launch(ctx, c, "boot")
	return m, err
}

// launch starts QEMU and opens its monitor. It returns what QEMU inherited, too.
func launch(ctx context.Context, c Config, verb string) (*Machine, []FDUse, error) {
	c, err := c.withDefaults()
	if err != nil {
		return nil, nil, fmt.Errorf("describe machine: %w", err)
	}
	args, uses, err := Args(c)
	if err != nil {
		return nil, nil, err
	}
	in, err := open(c, uses)
	if err != nil {
		return nil, nil, fmt.Errorf("%s machine %s: %w", verb, c.Instance, err)
	}
	m, err := start(ctx, c, args, in)
	if err != nil {
		in.closeOurs()
		return nil, nil, fmt.Errorf("%s machine %s: %w", verb, c.Instance, err)
	}
	if err := m.qmp.negotiate(ctx); err != nil {
		return nil, nil, fmt.Errorf("%s machine %s: %w", verb, c.Instance, m.abandon(err))
	}
	return m, uses, nil
}

// abandon ends a machine whose monitor failed, and returns why: QEMU's own last
// words where it ended by itself, which it then does at once.
func (m *Machine) abandon(monitor error) error {
	timeout := time.NewTimer(lastWords)
	defer timeout.Stop()
	select {
	case <-m.done:
	case <-timeout.C:
		m.kill(monitor)
	}
	if err := m.Close(); err != nil {
		return err
	}
	return m.Err()
}

func start(ctx context.Context, c Config, args []string, in *inherited) (*Machine, error) {
	defer in.closeTheirs()
	m := &Machine{
		instance: c.Instance,
		log:      c.Log.With("vm", c.Instance),
		bakeable: c.RAM != nil,
		channel:  in.channel,
		console:  &tail{limit: c.ConsoleLimit, first: make(chan struct{})},
		messages: &tail{limit: c.ConsoleLimit},
		resumed:  make(chan struct{}, 1),
		migrated: make(chan string, 1),
		done:     make(chan struct{}),
	}
	m.sign = m.console.first
	var err error
	if m.process, err = startProcess(c, args, in.files, m.messages); err != nil {
		return nil, err
	}
	m.log.Info("machine started", "arch", c.Arch, "accel", c.Accel, "pid", m.process.pid)
	m.qmp = newQMP(in.qmp, m.onEvent)
	consoleDone := make(chan struct{})
	go func() {
		defer close(consoleDone)
		_, _ = io.Copy(m.console, in.console)
	}()
	unwatch := context.AfterFunc(ctx, func() { m.kill(context.Cause(ctx)) })
	go func() {
		<-m.process.done
		unwatch()
		// QEMU's ends are closed: what it said last is still in the sockets.
		<-m.qmp.done
		<-consoleDone
		_ = in.console.Close()
		m.finish()
	}()
	return m, nil
}

// onEvent notes what the machine's life turns on. It never waits.
func (m *Machine) onEvent(name string, data json.RawMessage) {
	var d struct{ Reason, Status string }
	if len(data) > 0 && json.Unmarshal(data, &d) != nil || len(d.Reason) > 40 {
		return
	}
	switch name {
	case "SHUTDOWN": // why QEMU is about to end
		m.mu.Lock()
		defer m.mu.Unlock()
		m.shutdown = d.Reason
	case "RESUME":
		select {
		case m.resumed <- struct{}{}:
		default:
		}
	case "MIGRATION":
		switch d.Status {
		case "completed", "failed", "cancelled":
			select {
			case m.migrated <- d.Status:
			default:
			}
		}
	}
}

func (m *Machine) finish() {
	m.mu.Lock()
	m.err = &ExitError{
		Killed: m.killed, Guest: m.shutdown, State: m.process.state(),
		Messages: m.messages.Bytes(), Console: m.console.Bytes(),
	}
	m.mu.Unlock()
	m.log.Info("machine ended", "reason", m.err)
	close(m.done)
}

// kill ends QEMU for a reason. The first reason stays.
func (m *Machine) kill(why error) {
	m.mu.Lock()
	if m.killed == nil {
		m.killed = why
	}
	m.mu.Unlock()
	m.process.kill()
}

// Channel is the job channel: what the guest sees as the virtio-serial port
// "pe.job". Bytes written before the guest opens it wait. After the machine's end
// what it sent can still be read, then io.EOF. Close closes it.
func (m *Machine) Channel() net.Conn { return m.channel }

// Console returns the end of what the guest wrote to its serial console, at most
// Config.ConsoleLimit bytes, of any kind: mind terminals.
func (m *Machine) Console() []byte { return m.console.Bytes() }

// Instance is the machine's name on its host.
func (m *Machine) Instance() string { return m.instance }

// PID is QEMU's process id.
func (m *Machine) PID() int { return m.process.pid }

// Done is closed when QEMU has ended and Err says why.
func (m *Machine) Done() <-chan struct{} { return m.done }

// Err is nil while the machine runs, then an *ExitError.
func (m *Machine) Err() error {
	select {
	case <-m.done:
		return m.err
	default:
		return nil
	}
}

// ResizeDisk tells the guest that the disk of that name now has size bytes, a
// multiple of 512, and makes its file that long: a caller that filled the file
// passes the length that it has. Call it only after the guest's first reply: in
// a machine that is still being restored it would abort QEMU.
func (m *Machine) ResizeDisk(ctx context.Context, name string, size int64) error {
	if size <= 0 || size%sector != 0 {
		return fmt.Errorf("resize disk %s: %d bytes are not a positive multiple of %d", name, size, sector)
	}
	err := m.qmp.execute(ctx, "block_resize", struct {
		Node string `json:"node-name"`
		Size int64  `json:"size"`
	}{nodeName(name), size})
	if err != nil {
		return fmt.Errorf("resize disk %s: %w", name, err)
	}
	return nil
}

// Kill ends QEMU at once (SIGKILL) and doesn't wait for its end.
func (m *Machine) Kill() { m.kill(ErrClosed) }

// Close kills QEMU if it still runs, waits for its end and closes all that the
// machine holds. It fails only where QEMU does not die within 10 s. It may be
// called again.
func (m *Machine) Close() error {
	m.Kill()
	defer m.channel.Close()
	timeout := time.NewTimer(closeTimeout)
	defer timeout.Stop()
	select {
	case <-m.done:
		return nil
	case <-timeout.C:
		return fmt.Errorf("close machine %s: process %d did not die within %v", m.instance, m.process.pid, closeTimeout)
	}
}
