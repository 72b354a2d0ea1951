package coordinator

import (
	"encoding/binary"
	"hash/fnv"
	"time"

	"github.com/program-explorer/pe/gateway/feeder"
)

const firstBackoff = time.Second

// backoff is when a job may be tried again after its attempt of that number
// (from 1) failed: 1 s, 2 s, 4 s… up to a minute, each between half and the
// whole of it. The jitter comes from the job's id: jobs that failed together
// come back apart, and the answer is the same in every gateway.
func backoff(now time.Time, job string, attempt int) time.Time {
	wait := feeder.MaxDelay
	if doublings := max(attempt-1, 0); doublings < 6 {
		wait = min(firstBackoff<<doublings, feeder.MaxDelay)
	}
	h := fnv.New64a()
	h.Write(binary.AppendVarint([]byte(job), int64(attempt)))
	half := wait / 2
	return now.Add(half + time.Duration(h.Sum64()%uint64(half+1)))
}
