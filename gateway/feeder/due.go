package feeder

import "time"

// MaxDelay bounds how long a job waits before it is tried again.
const MaxDelay = time.Minute

// UntilDue is how long a job waits that may not be tried before due. What is
// further ahead than any delay was written by a clock that has been set back
// since, or by a gateway whose clock is ahead: it has waited long enough.
func UntilDue(due, now time.Time) time.Duration {
	if wait := due.Sub(now); wait <= MaxDelay {
		return max(wait, 0)
	}
	return 0
}
