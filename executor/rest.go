package executor

import (
	"context"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// rest keeps a host that fails every job from eating the queue. One whose disk is
// full or whose machines do not start fails a job in no time and is the first to
// ask for the next: without a pause it would try each job as often as a job is
// tried, while sound executors are still busy with one. The zero value is rested.
type rest struct {
	mu sync.Mutex
	// inARow counts the failures since the last job that ended.
	inARow int
	until  time.Time
}

const (
	firstRest = time.Second
	// longRest is short enough that nobody can keep a sound host from its work with
	// jobs whose machines do not start.
	longRest = 15 * time.Second
)

// ofHost are failures that the host is at fault for, and that come at once. A guest
// that dies may be its job's doing, and a store that is away is storeHealth's to wait for.
var ofHost = map[schemas.FailureCode]bool{schemas.FailInternal: true, schemas.FailMachine: true}

// failed notes how an attempt failed, and returns the pause that follows from it:
// 1 s, then twice as long each time, up to 15 s; 0 if the host is not at fault.
func (r *rest) failed(code schemas.FailureCode) time.Duration {
	if !ofHost[code] {
		return 0
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	pause := longRest
	if r.inARow < 4 {
		pause = firstRest << r.inARow
	}
	r.inARow++
	if until := time.Now().Add(pause); until.After(r.until) {
		r.until = until
	}
	return pause
}

// succeeded ends every pause: the host can run jobs.
func (r *rest) succeeded() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.inARow, r.until = 0, time.Time{}
}

func (r *rest) left() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return max(0, time.Until(r.until))
}

// wait returns when the host has rested, or with ctx's error.
func (r *rest) wait(ctx context.Context) error {
	for left := r.left(); left > 0; left = r.left() {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(left):
		}
	}
	return ctx.Err()
}
