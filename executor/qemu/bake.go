package qemu

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"time"
)

// saveTimeout bounds the saving of a machine's state, which takes 4 to 19 ms on an
// idle host.
const saveTimeout = 30 * time.Second

// ErrNotBakeable is the answer to the baking of a machine without Config.RAM: its
// memory would become part of its state.
var ErrNotBakeable = errors.New("its memory is in no file")

// stateName is what QEMU calls the file that a state is saved to: "fd:" takes
// the number of an inherited descriptor, or the name of one that came by getfd.
const stateName = "state"

// migrationCapability leaves the guest's memory out of the state: when it is
// saved it stays in its file, and when it is restored that file is mapped. It
// does not exist as a -global in QEMU 7.2.
var migrationCapability = map[string]any{"capabilities": []map[string]any{
	{"capability": "x-ignore-shared", "state": true},
	{"capability": "events", "state": true},
}}

// Bake saves what the machine is besides its memory to state, an empty file that
// is open for writing; its memory is in Config.RAM. The guest's disks must be as
// they will be found by every machine restored from it. The guest doesn't run on:
// when Bake has returned, close the machine, and only then use both files, for
// QEMU can write to them for as long as it lives.
func (m *Machine) Bake(ctx context.Context, state *os.File) error {
	if !m.bakeable {
		return fmt.Errorf("bake machine %s: %w", m.instance, ErrNotBakeable)
	}
	ctx, cancel := context.WithTimeout(ctx, saveTimeout)
	defer cancel()
	if err := m.save(ctx, state); err != nil {
		return fmt.Errorf("bake machine %s: %w", m.instance, err)
	}
	return nil
}

// save migrates the machine while it runs: one that was stopped before would be
// restored stopped. Not to an "exec:", which the sandbox ends with SIGSYS.
func (m *Machine) save(ctx context.Context, state *os.File) error {
	if err := m.qmp.execute(ctx, "migrate-set-capabilities", migrationCapability); err != nil {
		return err
	}
	if _, err := m.qmp.ask(ctx, "getfd", map[string]string{"fdname": stateName}, state); err != nil {
		return err
	}
	// A machine that was restored has had the event of that. It came before these answers.
	select {
	case <-m.migrated:
	default:
	}
	if err := m.qmp.execute(ctx, "migrate", map[string]string{"uri": "fd:" + stateName}); err != nil {
		return err
	}
	select {
	case status := <-m.migrated:
		if status != "completed" {
			return fmt.Errorf("saving %s: %w", status, m.migrationError(ctx))
		}
		return nil
	case <-m.done:
		return m.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// migrationError is QEMU's reason for a failed saving.
func (m *Machine) migrationError(ctx context.Context) error {
	answer, err := m.qmp.ask(ctx, "query-migrate", nil, nil)
	if err != nil {
		return err
	}
	var d struct {
		Description string `json:"error-desc"`
	}
	if err := json.Unmarshal(answer, &d); err != nil || d.Description == "" {
		return errors.New("without a reason")
	}
	return &qmpError{Desc: d.Description}
}
