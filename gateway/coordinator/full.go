package coordinator

import (
	"errors"
	"fmt"
	"time"
)

// ErrTooMany is what every [FullError] is.
var ErrTooMany = errors.New("the tenant has as much as it may")

// ErrTooMuchStored is a [FullError] that is about bytes in the object store.
var ErrTooMuchStored = errors.New("the tenant has as much stored as it may")

// FullError refuses what would give a tenant more than it may have.
type FullError struct {
	// What it has too much of, for its user.
	What string
	// After is when there may be room again: an estimate, 1 s or more.
	After time.Duration
	// Stored says that what it has too much of are stored bytes.
	Stored bool
}

func (e *FullError) Error() string { return e.What }

// Is makes it [ErrTooMany], and [ErrTooMuchStored] if it is that.
func (e *FullError) Is(target error) bool {
	return target == ErrTooMany || target == ErrTooMuchStored && e.Stored
}

func full(after time.Duration, format string, args ...any) error {
	return &FullError{What: fmt.Sprintf(format, args...), After: max(after, time.Second)}
}

func fullStore(after time.Duration, has, more, most int64) error {
	what := fmt.Sprintf("%d bytes are stored, at most %d may be", has, most)
	if has < most {
		what = fmt.Sprintf("%d bytes are stored, and with %d more there would be more than the %d that may be", has, more, most)
	}
	return &FullError{What: what, After: after, Stored: true}
}

// outflow knows how fast a tenant's queued jobs become fewer.
type outflow struct {
	last time.Time
	// gap is the time between two, weighted towards the latest.
	gap time.Duration
}

// Bounds of what a client is told to wait: who knows nothing of the tenant's
// pace yet tells the middle.
const (
	minOutflowWait     = time.Second
	unknownOutflowWait = 10 * time.Second
	maxOutflowWait     = time.Minute
)

// left takes note that a job was queued until now.
func (o *outflow) left(now time.Time) {
	if !o.last.IsZero() {
		o.gap += (now.Sub(o.last) - o.gap) / 8
	}
	o.last = now
}

// wait is about how long it takes until the next one leaves.
func (o *outflow) wait(now time.Time) time.Duration {
	if o.last.IsZero() {
		return unknownOutflowWait
	}
	return min(max(o.gap, now.Sub(o.last), minOutflowWait), maxOutflowWait)
}
