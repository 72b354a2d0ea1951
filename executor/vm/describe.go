package vm

import (
	"github.com/program-explorer/pe/executor"
	"github.com/program-explorer/pe/executor/qemu"
)

// RootDisk is the name of the disk with the image.
const RootDisk = diskRoot

// Describe describes one more machine for a shape, with disks and a user of its own but
// without the image's disk: for tools that boot and restore machines by themselves. Done
// gives back what is the machine's own, after its end.
func (r *Runner) Describe(shape executor.Shape) (c qemu.Config, done func(), err error) {
	d, err := newDisks(r.cfg.RunDir, 0)
	if err != nil {
		return c, nil, err
	}
	user := r.host.users.take()
	c = r.describe(order{name: "tool-" + unique(), shape: shape, disks: d})
	c.User = r.host.slotUser(user)
	return c, func() {
		d.close()
		r.host.users.give(user)
	}, nil
}

// MachineBytes is the memory of the machine for a shape.
func (r *Runner) MachineBytes(shape executor.Shape) int64 { return machineBytes(shape) }

// slotUser is whom the n-th machine of this process runs as.
func (h *Host) slotUser(n int) *qemu.Credential { return qemu.SlotUser(h.cfg.FirstUser + n) }
