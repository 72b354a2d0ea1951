package qemu

import (
	"errors"
	"fmt"
	"os"
)

// maxState bounds a saved state, in bytes: 63 KB to 440 KB were seen, and a QEMU
// that its guest has taken over might write for ever.
const maxState = 64 << 20

// Template is a baked machine in a form that no restored one can change. Any
// number of machines can be restored from it, also at once.
type Template struct {
	ram, state *os.File
	size       int64 // of ram, in bytes
	resident   int64
}

// Load makes a template from the two files that a bake has left. It reads
// them now and not later.
//
// QEMU 7.2 opens the file of a guest's memory for reading and writing even where
// it maps it privately, so it can't be given a file that it may not write. What it
// gets is a copy in memory that is sealed: to open it works, and to write to it,
// to map it shared or to cut it fails, for every process and for root. The copy has
// only pages that aren't zero, and all machines of the template share it.
func Load(ram, state *os.File) (_ *Template, err error) {
	t := &Template{}
	defer func() {
		if err != nil {
			_ = t.Close()
		}
	}()
	info, err := ram.Stat()
	if err != nil {
		return nil, fmt.Errorf("load template: %w", err)
	}
	t.size = info.Size()
	if t.ram, t.resident, err = sealedCopy("pe-ram", ram, t.size); err != nil {
		return nil, fmt.Errorf("load template's memory: %w", err)
	}
	if info, err = state.Stat(); err != nil {
		return nil, fmt.Errorf("load template: %w", err)
	}
	if info.Size() == 0 || info.Size() > maxState {
		return nil, fmt.Errorf("load template: its state has %d bytes, want 1 to %d", info.Size(), maxState)
	}
	if t.state, _, err = sealedCopy("pe-state", state, info.Size()); err != nil {
		return nil, fmt.Errorf("load template's state: %w", err)
	}
	return t, nil
}

// Resident is how much of the host's memory the template takes at first, in bytes.
func (t *Template) Resident() int64 { return t.resident }

// Grown is how much more it takes by now, in bytes. Memory that was never touched
// before the bake is a hole, and where a machine touches it the host fills the
// hole too, for good. So a job that fills its machine's memory makes the template as
// large as that: load another then, and close this one.
func (t *Template) Grown() int64 {
	info, err := t.ram.Stat()
	if err != nil {
		return 0
	}
	return max(0, allocated(info)-t.resident)
}

// Size is how much memory each of its machines has, in bytes.
func (t *Template) Size() int64 { return t.size }

// Close gives the memory back when the last machine has ended that uses it.
func (t *Template) Close() error {
	var errs []error
	for _, f := range []*os.File{t.ram, t.state} {
		if f != nil {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}
