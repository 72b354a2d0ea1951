package pool

import (
	"context"
	"slices"
	"time"
)

// kind is a Kind with its machines and its past.
type kind[M Machine] struct {
	Kind[M]
	demand demand
	used   time.Time // the last Want or Take

	waiting     []*waiter[M] // the oldest first
	making      []*making    // calls of Make that run
	ending      int          // calls of Close that run
	endingBytes int64        // of their machines
	holding     bool         // Make was called since the last Release
	releasing   bool         // Release runs
	evicted     bool         // nobody can take from it

	template int64         // bytes
	next     int64         // bytes that another machine is thought to cost
	measured bool          // next is more than an estimate
	took     time.Duration // to make one
	begun    time.Time     // the last call of Make
	target   int           // how many should wait
	allowed  int           // and how many may, at the last plan

	failures int // in a row
	failed   time.Time
	retry    time.Time
	err      error // the last failure

	hits, misses uint64
}

// waiter is a machine that waits.
type waiter[M Machine] struct {
	machine M
	bytes   int64
	since   time.Time
}

// making is a call of Make.
type making struct {
	bytes   int64 // estimated
	begun   time.Time
	cancel  context.CancelFunc
	dropped string // why nobody wants it any more
}

// firstTook is how long a machine is thought to take to be made before any was.
const firstTook = time.Second

func newKind[M Machine](k Kind[M], template int64, now time.Time) *kind[M] {
	next := k.MachineBytes
	if next <= 0 {
		next = defaultBytes
	}
	return &kind[M]{Kind: k, used: now, template: template, next: next, took: firstTook}
}

// ask counts a demand.
func (k *kind[M]) ask(now time.Time) {
	k.demand.add(now)
	k.used = now
}

// pop takes the oldest machine out.
func (k *kind[M]) pop() *waiter[M] {
	w := k.waiting[0]
	k.waiting = slices.Delete(k.waiting, 0, 1)
	return w
}

// wanted are the kind's claims on the budget.
func (k *kind[M]) wanted(now time.Time, idle time.Duration) wanted {
	w := wanted{
		key: k.Key, heat: k.demand.rate(now), used: k.used,
		low: k.Min, next: k.next, template: k.template, failing: k.failures > 0,
	}
	if k.evicted {
		return w
	}
	w.target, w.keep = targets(w.heat*k.took.Seconds(), now.Sub(k.used) < idle, k.Min, k.Max)
	for _, waiter := range slices.Backward(k.waiting) {
		w.held = append(w.held, waiter.bytes)
	}
	for _, m := range k.making {
		if m.dropped == "" {
			w.held = append(w.held, m.bytes)
		}
	}
	return w
}

// coming is how many are being made and still wanted.
func (k *kind[M]) coming() (n int) {
	for _, m := range k.making {
		if m.dropped == "" {
			n++
		}
	}
	return n
}

// bytes is what the kind costs the host now.
func (k *kind[M]) bytes() int64 {
	sum := k.endingBytes
	if k.holding {
		sum += k.template
	}
	for _, w := range k.waiting {
		sum += w.bytes
	}
	for _, m := range k.making {
		sum += m.bytes
	}
	return sum
}

// empty says that nothing of the kind is on the host, but for what its machines share.
func (k *kind[M]) empty() bool {
	return len(k.waiting) == 0 && len(k.making) == 0 && k.ending == 0
}

// learn notes what a machine turned out to cost. The estimate of bytes rises at
// once and falls slowly: too low a one would break the budget.
func (k *kind[M]) learn(took time.Duration, bytes, template int64) {
	switch {
	case !k.measured || bytes > k.next:
		k.next = bytes
	default:
		k.next -= (k.next - bytes) / 4
	}
	if !k.measured {
		k.took = took
	} else {
		k.took += (took - k.took) / 4
	}
	k.measured, k.template = true, template
}
