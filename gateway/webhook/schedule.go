package webhook

import (
	"net/http"
	"strconv"
	"time"
)

// Schedule is the example of the Standard Webhooks specification: the pauses
// before each attempt, together 75 h 35 min 5 s.
func Schedule() []time.Duration {
	return []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute,
		2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

const (
	// maxRetryAfter bounds what a receiver may ask for.
	maxRetryAfter = 24 * time.Hour
	// jitter is the part of a pause by which it may be longer or shorter, so that
	// what failed together does not come back together.
	jitter = 0.1
	// lifetime of a delivery: with pauses that receivers asked for, and those of a
	// breaker, its attempts may take longer than the schedule.
	lifetime = 5 * 24 * time.Hour
	// disableAfter is how long a webhook may fail without one success.
	disableAfter = 5 * 24 * time.Hour
)

// next is when to send again after so many attempts failed, the last one now;
// false if that was the last. random is from [0, 1).
func next(schedule []time.Duration, attempts int, now time.Time, retryAfter time.Duration, random float64) (time.Time, bool) {
	if attempts >= len(schedule) {
		return time.Time{}, false
	}
	pause := schedule[attempts]
	pause += time.Duration(float64(pause) * jitter * (2*random - 1))
	return now.Add(max(pause, retryAfter)), true
}

// retryAfter is what the receiver asks for, at most [maxRetryAfter]; 0 if it asks for nothing.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	if at, err := http.ParseTime(text); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}
