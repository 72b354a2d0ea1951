package schemas

import "slices"

// State of a job.
type State string

// The states. The last five are terminal.
const (
	StateQueued    State = "queued"
	StateRunning   State = "running"
	StateSucceeded State = "succeeded" // the program ended with exit code 0
	StateFailed    State = "failed"    // the program did not: exit code, signal or limit
	StateCancelled State = "cancelled" // the client asked for it
	StateExpired   State = "expired"   // its queue timeout or its deadline passed
	StateDead      State = "dead"      // the platform could not run it
)

// States lists all of them, in the order of a job's life.
var States = []State{StateQueued, StateRunning, StateSucceeded, StateFailed, StateCancelled, StateExpired, StateDead}

var transitions = map[State][]State{
	// A queued job that follows another ends with its result.
	StateQueued:  {StateRunning, StateSucceeded, StateFailed, StateCancelled, StateExpired, StateDead},
	StateRunning: {StateQueued, StateSucceeded, StateFailed, StateCancelled, StateExpired, StateDead},
	StateDead:    {StateQueued},
}

// Terminal reports whether the job has ended: the platform does nothing more of
// itself. Only a person moves one on, a dead one, which then is queued again.
func (s State) Terminal() bool { return s.Valid() && s != StateQueued && s != StateRunning }

// Valid reports whether s is one of [States].
func (s State) Valid() bool { return slices.Contains(States, s) }

// Constant is the state as this package's constant: what was decoded holds memory
// of its own, which counts where there are many.
func (s State) Constant() State {
	if i := slices.Index(States, s); i >= 0 {
		return States[i]
	}
	return s
}

// CanBecome reports whether the state machine allows the step from s to next.
func (s State) CanBecome(next State) bool { return slices.Contains(transitions[s], next) }
