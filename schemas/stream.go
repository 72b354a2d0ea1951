package schemas

import (
	"encoding/base64"
	"unicode/utf8"
)

// Names of the events that GET /v1/jobs/{id}/logs sends to who accepts
// text/event-stream. The data of each is one of the types below, as JSON on one
// line. The id is opaque; sent back as Last-Event-ID it resumes the stream
// after that event.
const (
	// StreamState: [StreamChange]. First of all, and whenever the state or the attempt changes.
	StreamState = "state"
	// StreamStage: [Stage]. The running attempt's stage that begins.
	StreamStage = "stage"
	// StreamStdout and StreamStderr: [StreamText].
	StreamStdout = "stdout"
	StreamStderr = "stderr"
	// StreamEnd: [StreamChange] with a terminal state. Nothing follows.
	StreamEnd = "end"
)

// StreamKinds lists all of them.
var StreamKinds = []string{StreamState, StreamStage, StreamStdout, StreamStderr, StreamEnd}

// StreamChange says what state the job is in.
type StreamChange struct {
	State State `json:"state"`
	// Attempt counts from 1; 0 before the first. Offsets of stdout and stderr
	// begin at 0 again with each attempt.
	Attempt    int    `json:"attempt,omitempty"`
	Executor   string `json:"executor,omitempty"`
	Cancelling bool   `json:"cancelling,omitempty"`
	// Waiting says why a queued job waits, when it is not only its turn.
	Waiting string `json:"waiting,omitempty"`
	// OutputLost comes with end alone: what was kept of the output could not all be
	// told, because the object store has lost it.
	OutputLost bool `json:"output_lost,omitempty"`
}

// StreamText is a piece of stdout or stderr: Text if it is UTF-8, else Base64.
type StreamText struct {
	// Offset in bytes of what the attempt wrote. A gap to the piece before is lost
	// or dropped output: nothing is sent twice.
	Offset int64  `json:"offset"`
	Text   string `json:"text,omitempty"`
	Base64 string `json:"base64,omitempty"`
}

// NewStreamText wraps a piece of output.
func NewStreamText(offset int64, data []byte) StreamText {
	if utf8.Valid(data) {
		return StreamText{Offset: offset, Text: string(data)}
	}
	return StreamText{Offset: offset, Base64: base64.StdEncoding.EncodeToString(data)}
}

// Bytes returns the piece of output.
func (t StreamText) Bytes() ([]byte, error) {
	if t.Base64 != "" {
		return base64.StdEncoding.Strict().DecodeString(t.Base64)
	}
	return []byte(t.Text), nil
}
