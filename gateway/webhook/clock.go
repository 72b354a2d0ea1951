package webhook

import "time"

// Clock tells the time and wakes who waits for a later one.
type Clock interface {
	Now() time.Time
	// At gives a channel that receives once it is t, unless stop is called before.
	At(t time.Time) (come <-chan time.Time, stop func())
}

type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

func (machineClock) At(t time.Time) (<-chan time.Time, func()) {
	timer := time.NewTimer(time.Until(t))
	return timer.C, func() { timer.Stop() }
}
