package retention

import (
	"fmt"
	"time"
)

// Policy is how long things are kept. Zero is for ever, and as many as there are.
type Policy struct {
	// Outputs of a job are kept for this long after its end: files, long logs, and
	// a result that is not small.
	Outputs time.Duration
	// Inputs are kept for at least this long after they were uploaded, and while a
	// job needs them. At least [MinInputs].
	Inputs time.Duration
	// Records are kept for this long after the job's end: state, outcome, small
	// results. A record takes its outputs with it.
	Records time.Duration
	// Jobs is how many of a tenant's jobs that have ended some time ago are kept, about:
	// of more, the records of those that ended first expire, page by page. At least [MinJobs].
	Jobs int
}

// Defaults of a gateway.
const (
	DefaultOutputs = 7 * 24 * time.Hour
	DefaultInputs  = 7 * 24 * time.Hour
	DefaultRecords = 30 * 24 * time.Hour
	DefaultJobs    = 1_000_000
	// DefaultGrace is how old an object must be before a sweep looks for its
	// record. Nobody may take longer from an object to the record that names it.
	DefaultGrace = time.Hour
)

// MinInputs is the shortest time to keep inputs: an eighth of it is what a
// submission may take from looking at its inputs to its record.
const MinInputs = time.Hour

// MinJobs is the lowest bound on jobs: a few pages of them.
const MinJobs = 1000

// Check refuses what cannot be held to.
func (p Policy) Check() error {
	if p.Outputs < 0 || p.Inputs < 0 || p.Records < 0 {
		return fmt.Errorf("retention: negative times to keep outputs (%s), inputs (%s) or records (%s)", p.Outputs, p.Inputs, p.Records)
	}
	if p.Inputs > 0 && p.Inputs < MinInputs {
		return fmt.Errorf("retention: inputs must be kept for at least %s, not %s", MinInputs, p.Inputs)
	}
	if p.Jobs != 0 && p.Jobs < MinJobs {
		return fmt.Errorf("retention: at least %d jobs of a tenant must be kept, not %d", MinJobs, p.Jobs)
	}
	return nil
}

// ago is the instant so long before now; zero for a duration that is for ever.
func ago(now time.Time, keep time.Duration) time.Time {
	if keep == 0 {
		return time.Time{}
	}
	return now.Add(-keep)
}
