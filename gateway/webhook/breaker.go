package webhook

import "time"

const (
	// breakAfter failures in a row, nothing is sent for a while.
	breakAfter               = 5
	firstBreak, longestBreak = 30 * time.Second, 10 * time.Minute
)

// A breaker keeps a receiver that fails from being sent everything that waits
// for it: after some failures in a row there is a pause, then one attempt, whose
// failure begins a pause twice as long. What waits meanwhile uses up no attempts.
// It is not safe for concurrent use.
type breaker struct {
	failures int
	pause    time.Duration
	until    time.Time
}

// open reports whether the receiver is thought to be down.
func (b *breaker) open() bool { return b.failures >= breakAfter }

// ready reports whether one more may be sent while so many are under way. If
// not, it may at the given instant, or, if that is zero, when one under way has ended.
func (b *breaker) ready(now time.Time, underWay int) (bool, time.Time) {
	if now.Before(b.until) {
		return false, b.until
	}
	return !b.open() || underWay == 0, time.Time{}
}

func (b *breaker) succeeded() { *b = breaker{} }

func (b *breaker) failed(now time.Time) {
	b.failures++
	if b.open() && !now.Before(b.until) {
		b.pause = min(max(2*b.pause, firstBreak), longestBreak)
		b.until = now.Add(b.pause)
	}
}

// hold sends nothing before the instant: the receiver asked for it.
func (b *breaker) hold(until time.Time) {
	if until.After(b.until) {
		b.until = until
	}
}
