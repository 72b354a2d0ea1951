package schemas

// Names of the events that GET /v1/events sends: what becomes of all of a
// tenant's jobs. The id of each is a revision, a number that rises with every
// change of any job; sent back as Last-Event-ID, to any gateway, it resumes the
// stream after that change.
const (
	// JobEventsBegin: [JobEventsBeginning]. First of all; its id is where the stream begins.
	JobEventsBegin = "begin"
	// JobEventsJob: [JobChange]. A job's record changed.
	JobEventsJob = "job"
	// StreamStdout and StreamStderr, if they were asked for: [JobText].

	// JobEventsLost, if output was asked for: [JobOutputLost]. The job had more of it.
	JobEventsLost = "output_lost"
)

// JobEventsBeginning says what the stream will tell.
type JobEventsBeginning struct {
	// Outputs is of how many running jobs at once stdout and stderr are told; 0 if
	// they were not asked for. A job that begins while so many are told is not:
	// its own log has it all.
	Outputs int `json:"outputs"`
}

// JobChange is what a job's record says since its last change.
type JobChange struct {
	Job   string `json:"job"`
	State State  `json:"state"`
	// Attempt counts from 1; 0 before the first.
	Attempt int `json:"attempt,omitempty"`
	// Executor has, or had, that attempt.
	Executor   string            `json:"executor,omitempty"`
	Cancelling bool              `json:"cancelling,omitempty"`
	Labels     map[string]string `json:"labels,omitempty"`
	Created    int64             `json:"created_us"`
	Ended      int64             `json:"ended_us,omitempty"`
	Outcome    *Outcome          `json:"outcome,omitempty"`
	Failure    *Failure          `json:"failure,omitempty"`
}

// Event is the job as an event tells it.
func (r *Record) Event() JobChange {
	e := JobChange{
		Job: r.ID, State: r.State, Cancelling: r.Cancel && !r.State.Terminal(), Labels: r.Labels,
		Created: r.CreatedUS, Ended: r.EndedUS, Outcome: r.Outcome, Failure: r.Failure,
	}
	if n := len(r.Attempts); n > 0 {
		e.Attempt = r.Attempts[n-1].N
		if r.State != StateQueued {
			e.Executor = r.Attempts[n-1].Executor
		}
	}
	return e
}

// JobText is a piece of a job's stdout or stderr.
type JobText struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
	StreamText
}

// JobOutputLost is a job of which there was more output, which the object store has lost.
type JobOutputLost struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
}
