package vm

import (
	"context"
	"time"
)

const (
	// restSample is how long a guest is watched, restWork how much of a processor it may
	// use meanwhile and still be at rest: a kernel's housekeeping.
	restSample = 50 * time.Millisecond
	restWork   = 5 * time.Millisecond
	// restPatience is how long a guest may take. One that never rests is baked all the same.
	restPatience = 5 * time.Second
)

// rest waits until the guest has nothing to do: after its last word it still tidies up, and
// makes the next sandbox. On riscv64 more than time is lost with that: QEMU 7.2 does not restore a
// timer that was set. A kernel at work has set one for a few milliseconds later, waits for
// it in vain, and for all timers behind it; one at rest sets a new one when it is woken.
func (g *guest) rest(ctx context.Context) {
	tick := time.NewTicker(restSample)
	defer tick.Stop()
	last, err := g.qemu.CPU()
	for quiet, left := 0, restPatience; err == nil && quiet < 2 && left > 0; left -= restSample {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var now time.Duration
		if now, err = g.qemu.CPU(); now-last > restWork {
			quiet = 0
		} else {
			quiet++
		}
		last = now
	}
}
