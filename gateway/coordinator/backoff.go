package coordinator

import (
	"encoding/binary"
	"hash/fnv"
	"time"
)

const (
	firstBackoff = time.Second
	maxBackoff   = time.Minute
)

// backoff is when a job may be tried again after its attempt of that number
// (from 1) failed: 1 s, 2 s, 4 s… up to a minute, each between half and the
// whole of it. The jitter comes from the job's id: jobs that failed together
// come back apart, and the answer is the same in every gateway.
func backoff(now time.Time, job string, attempt int) time.Time {
	wait := maxBackoff
	if doublings := max(attempt-1, 0); doublings < 6 {
		wait = min(firstBackoff<<doublings, maxBackoff)
	}
	h := fnv.New64a()
	h.Write(binary.AppendVarint([]byte(job), int64(attempt)))
	half := wait / 2
	return now.Add(half + time.Duration(h.Sum64()%uint64(half+1)))
}

// untilDue is how long a job waits that may not be tried before due. What is
// further ahead than any backoff was written by a clock that has been set back
// since, or by a gateway whose clock is ahead: it has waited long enough.
func untilDue(due, now time.Time) time.Duration {
	if wait := due.Sub(now); wait <= maxBackoff {
		return max(wait, 0)
	}
	return 0
}
