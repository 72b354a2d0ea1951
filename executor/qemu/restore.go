package qemu

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// restoreTimeout bounds the time from QEMU's start until the guest runs: 50 to
// 200 ms on an idle host.
const restoreTimeout = 30 * time.Second

// Restore starts a machine in the state that Bake has saved, and returns when its
// guest runs on. c must describe the machine that was baked: the same hardware,
// and disks of the same names, whose files may be others and are not yet what the
// guest takes them for: call ResizeDisk after its first reply. Like Boot's, the
// machine lives until it is closed, ends by itself or ctx ends.
//
// Without c.RAM its memory is private to it, and ends with it. With c.RAM, which holds a copy of the
// template's memory, it can be baked again.
//
// The guest is a copy: its clock stands where the bake was, and its random
// numbers are those of all other copies. The caller has to give it its own
// before anything that matters runs in it.
func Restore(ctx context.Context, c Config, t *Template) (*Machine, error) {
	if t == nil {
		return nil, errors.New("restore machine: no template")
	}
	if c.Memory != t.size {
		return nil, fmt.Errorf("restore machine: it has %d bytes of memory, its template %d", c.Memory, t.size)
	}
	if c.RAM != nil {
		info, err := c.RAM.Stat()
		if err != nil {
			return nil, fmt.Errorf("restore machine: %w", err)
		}
		if info.Size() != t.size {
			return nil, fmt.Errorf("restore machine: its own memory has %d bytes, its template's %d", info.Size(), t.size)
		}
	}
	c.template = t
	m, uses, err := launch(ctx, c, "restore")
	if err != nil {
		return nil, err
	}
	if err := m.load(ctx, uses[len(uses)-1].FD); err != nil {
		return nil, fmt.Errorf("restore machine %s: %w", m.instance, m.abandon(err))
	}
	return m, nil
}

// load reads the state from a descriptor of QEMU's. A state that QEMU can't
// use ends QEMU.
func (m *Machine) load(ctx context.Context, fd int) error {
	ctx, cancel := context.WithTimeout(ctx, restoreTimeout)
	defer cancel()
	if err := m.qmp.execute(ctx, "migrate-set-capabilities", migrationCapability); err != nil {
		return err
	}
	if err := m.qmp.execute(ctx, "migrate-incoming", map[string]string{"uri": fmt.Sprintf("fd:%d", fd)}); err != nil {
		return err
	}
	select {
	case <-m.resumed:
		return nil
	case <-m.done:
		return m.err
	case <-m.qmp.done: // QEMU is ending
		return m.qmp.failure()
	case <-ctx.Done():
		return fmt.Errorf("the guest does not run: %w", context.Cause(ctx))
	}
}
