package fleet

import "time"

// Clock judges who has been silent for a lease. It counts only time in
// which this gateway would have heard: its connection was up and it was
// running. After its start, after a reconnection and after a pause of the
// process everybody has one full lease of grace.
//
// All instants carry monotonic readings, and none ever comes from a message.
type Clock struct {
	lease time.Duration
	// late is how long after the last look the next one may come.
	late time.Duration

	listening time.Time // since when it would have heard; zero while it would not
	looked    time.Time
	epoch     uint64
}

// NewClock returns one for a lease that is looked at every so often.
func NewClock(lease, every time.Duration) *Clock {
	return &Clock{lease: lease, late: 4*every + time.Second}
}

// Look notes that at now the connection was up or not, and which one it was.
func (l *Clock) Look(now time.Time, up bool, epoch uint64) {
	slept := !l.looked.IsZero() && now.Sub(l.looked) > l.late
	switch {
	case !up:
		l.listening = time.Time{}
	case l.listening.IsZero() || epoch != l.epoch || slept:
		l.listening = now
	}
	l.looked, l.epoch = now, epoch
}

// Expired reports whether somebody last heard at seen has been silent for a lease.
func (l *Clock) Expired(now, seen time.Time) bool {
	if l.listening.IsZero() {
		return false
	}
	if seen.Before(l.listening) {
		seen = l.listening
	}
	return now.Sub(seen) >= l.lease
}
