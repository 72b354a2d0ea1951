package coordinator

import (
	"fmt"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// rules are the steps that a record can take. They change the record in
// memory, and never ask or tell anybody: what counts is whether it is then
// written by compare-and-set.
type rules struct {
	maxAttempts, maxHandbacks, maxLosses int
}

// claim makes a queued job the executor's.
func (rules) claim(rec *schemas.Record, now time.Time, executor, nonce string) *schemas.Attempt {
	n := fence(rec) + 1
	rec.State = schemas.StateRunning
	rec.NotBeforeUS = 0
	rec.Attempts = append(rec.Attempts, schemas.Attempt{N: n, Executor: executor, Nonce: nonce, ClaimedUS: now.UnixMicro()})
	return &rec.Attempts[len(rec.Attempts)-1]
}

// accept ends a running job with the outcome of its current attempt. A job
// that was to be cancelled is, whatever its program did meanwhile; one that
// should have ended before now is expired.
func (rules) accept(rec *schemas.Record, now time.Time, e schemas.Event) {
	rec.Current().EndedUS = now.UnixMicro()
	rec.EndedUS = now.UnixMicro()
	switch {
	case rec.Cancel:
		rec.State = schemas.StateCancelled
		return
	case pastDeadline(rec, now):
		overrun(rec, now, "its result was on its way")
		return
	}
	rec.State = e.Outcome.State()
	rec.Outcome, rec.ResultInline, rec.Result, rec.Archive = e.Outcome, e.ResultInline, e.Result, e.Archive
}

// fail ends a running job's current attempt: it is tried again, at once if it
// was handed back, or it is dead, cancelled, or expired.
func (r rules) fail(rec *schemas.Record, now time.Time, f *schemas.Failure) {
	a := rec.Current()
	a.EndedUS = now.UnixMicro()
	a.Failure = f
	switch {
	case rec.Cancel:
		rec.State, rec.EndedUS = schemas.StateCancelled, now.UnixMicro()
	case pastDeadline(rec, now):
		overrun(rec, now, fmt.Sprintf("attempt %d was running on %s", a.N, a.Executor))
	case r.mayRetry(rec, f):
		next := now
		if f.Code != schemas.FailHandback {
			next = backoff(now, rec.ID, a.N-rec.Forgiven)
		}
		if pastDeadline(rec, next) {
			overrun(rec, now, fmt.Sprintf("it waited for its next attempt, after attempt %d failed: %s", a.N, f.Message))
			return
		}
		rec.State, rec.QueuedUS, rec.NotBeforeUS = schemas.StateQueued, now.UnixMicro(), 0
		if next.After(now) {
			rec.NotBeforeUS = next.UnixMicro()
		}
	default:
		rec.State, rec.EndedUS, rec.Failure = schemas.StateDead, now.UnixMicro(), r.last(rec, f)
	}
}

func (r rules) mayRetry(rec *schemas.Record, f *schemas.Failure) bool {
	t := tallyOf(rec)
	counted := t.attempts - min(t.handbacks, r.maxHandbacks)
	return f.Retryable && counted < r.maxAttempts && t.losses < r.maxLosses
}

// last is the failure of a job that is not tried again. One that took its
// executors with it says so: the next would be lost, too.
func (r rules) last(rec *schemas.Record, f *schemas.Failure) *schemas.Failure {
	n := tallyOf(rec).losses
	if f.Code != schemas.FailLost || n < r.maxLosses {
		return f
	}
	return schemas.NewFailure(f.Code, fmt.Sprintf("%s; %d executors were lost with this job, so it is not tried again: "+
		"see what it does to its machine, then retry it (pe dead retry) or drop it", f.Message, n))
}

// tally is what became of a job's attempts since it was last brought back.
type tally struct{ attempts, handbacks, losses int }

func tallyOf(rec *schemas.Record) (t tally) {
	for _, a := range rec.Attempts {
		if a.N <= rec.Forgiven {
			continue
		}
		t.attempts++
		switch {
		case a.Failure == nil:
		case a.Failure.Code == schemas.FailHandback:
			t.handbacks++
		case a.Failure.Code == schemas.FailLost:
			t.losses++
		}
	}
	return t
}

// expire ends a job whose wait is over. It reports whether it was.
func (rules) expire(rec *schemas.Record, now time.Time, why string) bool {
	if at := rec.ExpiresUS(); at == 0 || now.UnixMicro() < at {
		return false
	}
	if pastDeadline(rec, now) {
		overrun(rec, now, "it waited: "+why)
		return true
	}
	rec.State, rec.EndedUS = schemas.StateExpired, now.UnixMicro()
	rec.Failure = schemas.NewFailure(schemas.FailCapacity, why)
	return true
}

// cancel ends a queued job, and asks a running one to end. It reports whether
// there is something to write.
func (rules) cancel(rec *schemas.Record, now time.Time) bool {
	switch {
	case rec.State == schemas.StateQueued:
		rec.State, rec.EndedUS = schemas.StateCancelled, now.UnixMicro()
	case rec.State == schemas.StateRunning && !rec.Cancel:
		rec.Cancel = true
	default:
		return false
	}
	return true
}

// holds reports whether this attempt of this executor holds the job.
func holds(rec *schemas.Record, executor string, attempt int) bool {
	a := rec.Current()
	return a != nil && a.Executor == executor && a.N == attempt
}
