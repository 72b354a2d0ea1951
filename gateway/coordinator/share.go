package coordinator

import (
	"errors"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// keepable reports whether the program would end so again: it ended by itself,
// untouched by limits, with exit code 0 unless failures count, too.
func keepable(o *schemas.Outcome, failures bool) bool {
	if o == nil || o.ExitCode == nil || o.Signal != "" || o.Limit != "" || len(o.LimitsHit) > 0 {
		return false
	}
	return *o.ExitCode == 0 || failures
}

// shares reports whether a job has a result that another one may have, too. One
// whose outputs have expired has none any more. A
// key that is still there says that the result came from where it is trusted.
func shares(origin *schemas.Record, key string, failures bool) bool {
	return origin.State.Terminal() && origin.CacheKey == key && origin.HasResult() && origin.PurgedUS == 0 &&
		keepable(origin.Outcome, failures && origin.CacheFailures)
}

// leads reports whether a job may wait for the result of another, which has not
// ended. A job waits for no one that executors take later than itself.
func leads(leader *schemas.Record, rec *schemas.Record) bool {
	return !leader.State.Terminal() && !leader.Cancel && leader.Follows == "" && leader.CacheKey == rec.CacheKey &&
		(leader.State == schemas.StateRunning || leader.Lane == rec.Lane || leader.Lane == schemas.LaneInteractive)
}

// share ends a job that was not run with the result of another, and reports
// whether its record had room for that beside its own words.
func (rules) share(rec, origin *schemas.Record, now time.Time) bool {
	before := *rec
	job, attempt := origin.Produced()
	rec.Source = &schemas.Source{Job: job, Attempt: attempt, EndedUS: origin.EndedUS}
	if origin.Source != nil {
		rec.Source.EndedUS = origin.Source.EndedUS
	}
	rec.State, rec.EndedUS = origin.Outcome.State(), now.UnixMicro()
	rec.Outcome, rec.ResultInline, rec.Result, rec.Archive = origin.Outcome, origin.ResultInline, origin.Result, origin.Archive
	// It is nobody's source: that is the job which was run.
	rec.Follows, rec.CacheKey = "", ""
	if _, err := encodeRecord(*rec); err != nil {
		*rec = before
		return false
	}
	return true
}

// errNotFollowing: the job does not wait for this other one any more.
var errNotFollowing = errors.New("the job does not follow the other one")

// follow has a job that waits for one wait for another; empty: for an executor.
func (rules) follow(rec *schemas.Record, from, to string) error {
	if rec.State != schemas.StateQueued || rec.Follows != from {
		return errNotFollowing
	}
	rec.Follows = to
	return nil
}
