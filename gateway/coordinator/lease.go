package coordinator

import "time"

// leaseClock judges who has been silent for a lease. It counts only time in
// which this gateway would have heard: its connection was up and it was
// running. After its start, after a reconnection and after a pause of the
// process everybody has one full lease of grace.
//
// All instants carry monotonic readings, and none ever comes from a message.
type leaseClock struct {
	lease time.Duration
	// late is how long after the last look the next one may come.
	late time.Duration

	listening time.Time // since when it would have heard; zero while it would not
	looked    time.Time
	epoch     uint64
}

// look notes that at now the connection was up or not, and which one it was.
func (l *leaseClock) look(now time.Time, up bool, epoch uint64) {
	slept := !l.looked.IsZero() && now.Sub(l.looked) > l.late
	switch {
	case !up:
		l.listening = time.Time{}
	case l.listening.IsZero() || epoch != l.epoch || slept:
		l.listening = now
	}
	l.looked, l.epoch = now, epoch
}

// expired reports whether somebody last heard at seen has been silent for a lease.
func (l *leaseClock) expired(now, seen time.Time) bool {
	if l.listening.IsZero() {
		return false
	}
	if seen.Before(l.listening) {
		seen = l.listening
	}
	return now.Sub(seen) >= l.lease
}
