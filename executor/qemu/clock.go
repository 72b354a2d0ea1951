package qemu

import (
	"runtime"
	"sync"
	"time"
)

// An emulated x86 CPU's time-stamp counter is the host's own. A guest that isn't
// told its rate calibrates it against the emulated PIT, which fails while the host
// is busy; the kernel then has no clock at all (microvm with ACPI has no timer
// interrupt but the local APIC's, which is calibrated by that counter) and hangs
// for ever: 4 boots of 4 at a load of 10. Told, it boots, and sooner.

// nanosecondTicks is the rate, in kHz, of QEMU's counter where the host CPU has
// none that QEMU reads: it counts nanoseconds.
const nanosecondTicks = 1_000_000

// counterSpan is how long the host's counter is watched: long enough for an
// error of under 50 parts in a million.
const counterSpan = 20 * time.Millisecond

// CounterKHz is the rate of the counter that an emulated amd64 guest sees, in
// kHz. It is a property of the host, so it is measured once in a process; two
// processes' figures differ by some 50 parts in a million.
func CounterKHz() int64 { return counterKHz() }

var counterKHz = sync.OnceValue(func() int64 {
	if runtime.GOARCH != "amd64" {
		return nanosecondTicks
	}
	t0, c0 := readCounter()
	time.Sleep(counterSpan)
	t1, c1 := readCounter()
	return int64(float64(c1-c0) / float64(t1.Sub(t0)) * 1e6)
})

// readCounter reads clock and counter at nearly one instant: the closest pair of
// several, since any one may be interrupted between the two.
func readCounter() (at time.Time, count uint64) {
	best := time.Hour
	for range 20 {
		before := time.Now()
		c := timestampCounter()
		if d := time.Since(before); d < best {
			best, at, count = d, before.Add(d/2), c
		}
	}
	return at, count
}
