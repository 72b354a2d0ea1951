package schemas

import (
	"encoding/json"
	"net/http"
)

// MaxControlBytes bounds every control message and its answer, in JSON.
const MaxControlBytes = 512 * kib

// Offer is the body of a message on the jobs stream: where to claim, no more.
type Offer struct {
	Job    string `json:"job"`
	Tenant string `json:"tenant"`
}

// Answer to a claim.
type Answer string

// The answers. Only an unanswered claim is retried; the offer of every
// answered one is acknowledged.
const (
	AnswerGranted Answer = "granted"
	AnswerGone    Answer = "gone"    // no such job, or it has ended
	AnswerBusy    Answer = "busy"    // somebody else holds it
	AnswerNotYou  Answer = "not-you" // this executor may not run it
)

// Claim asks for an offered job.
type Claim struct {
	Job    string `json:"job"`
	Tenant string `json:"tenant"`
	// Nonce makes the claim idempotent: chosen once per offer received.
	Nonce string `json:"nonce"`
}

// ClaimReply answers a claim.
type ClaimReply struct {
	Answer Answer `json:"answer"`
	Grant  *Grant `json:"grant,omitempty"`
}

// Grant is what an executor needs to run an attempt.
type Grant struct {
	Attempt int      `json:"attempt"`
	Image   ImageRef `json:"image"`
	Needs   Requires `json:"needs"`
	// Spec is the specification with all defaults, when it fits in [MaxGrantedSpec]; else SpecURL gives it.
	Spec    *JobSpec       `json:"spec,omitempty"`
	SpecURL *SignedRequest `json:"spec_url,omitempty"`
	// SpecObject tells size and digest of what SpecURL gives.
	SpecObject Object `json:"spec_object,omitzero"`
	CreatedUS  int64  `json:"created_us"`
	QueuedUS   int64  `json:"queued_us"`
}

// MaxSpecBytes bounds a posted specification in JSON.
const MaxSpecBytes = 1 * mib

// MaxGrantedSpec bounds a specification that travels in a grant.
const MaxGrantedSpec = 128 * kib

// SignedRequest is an HTTP request that its bearer may send until it expires.
type SignedRequest struct {
	Method string      `json:"method"`
	URL    string      `json:"url"`
	Header http.Header `json:"header,omitempty"`
}

// Sign asks for signed requests for the objects of an attempt that the executor holds.
type Sign struct {
	Job     string `json:"job"`
	Tenant  string `json:"tenant"`
	Attempt int    `json:"attempt"`
	// Get are digests of inputs that the specification names; at most [MaxSigned].
	Get []string `json:"get,omitempty"`
	// Put are objects, each of [AttemptObjects], with exact size and digest.
	Put []Object `json:"put,omitempty"`
}

// MaxSigned bounds the requests that one Sign asks for.
const MaxSigned = 256

// SignReply has one request for each asked, in the order asked.
type SignReply struct {
	Get []SignedRequest `json:"get,omitempty"`
	Put []SignedRequest `json:"put,omitempty"`
	// Refused says in one line why nothing was signed.
	Refused string `json:"refused,omitempty"`
	// Stop is set when the attempt is no longer the executor's.
	Stop bool `json:"stop,omitempty"`
}

// HelloReply answers an executor's registration, whose body is [Facts].
type HelloReply struct {
	Refused string `json:"refused,omitempty"`
	// BeatMS is how often to send a heartbeat; LeaseMS after how long a silent executor's attempts are lost.
	BeatMS  int64 `json:"beat_ms"`
	LeaseMS int64 `json:"lease_ms"`
	// Pools are those that the executor is to pull from, in both lanes, and with
	// which priority: its [Requires.Surplus] for their jobs.
	Pools map[string]int `json:"pools"`
}

// Pools is the body of the command of the same name: the whole list, when it
// has changed. It may get lost; the answer to the next heartbeat has it too.
type Pools struct {
	Pools map[string]int `json:"pools"`
}

// Held names an attempt.
type Held struct {
	Tenant  string `json:"tenant"`
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
}

// Beat is a heartbeat: every attempt that the executor holds.
type Beat struct {
	Instance string `json:"instance"`
	Held     []Held `json:"held,omitempty"`
	Slots    int    `json:"slots"`
	Busy     int    `json:"busy"`
	// Draining executors take no more jobs.
	Draining bool `json:"draining,omitempty"`
}

// BeatReply lists the attempts to stop, and whether the gateway knows the executor.
type BeatReply struct {
	Stop []Stop `json:"stop,omitempty"`
	// Unknown asks the executor to register again.
	Unknown bool `json:"unknown,omitempty"`
	// Pools as in [HelloReply]; not set for an unknown executor.
	Pools map[string]int `json:"pools"`
}

// Stop tells an executor to end an attempt and report nothing.
type Stop struct {
	Held
	Reason string `json:"reason"`
}

// StopReply answers a stop command.
type StopReply struct {
	// Ended: nothing of the attempt runs any more, and nothing will be reported.
	Ended bool `json:"ended"`
}

// LogsRequest asks an executor for what an attempt wrote so far.
type LogsRequest struct {
	Held
	// Stream is stdout or stderr; Offset in bytes; at most [MaxLogChunk] come back.
	Stream string `json:"stream"`
	Offset int64  `json:"offset"`
}

// MaxLogChunk bounds LogsReply.Data, in bytes.
const MaxLogChunk = 256 * kib

// LogsReply is a piece of stdout or stderr.
type LogsReply struct {
	Data []byte `json:"data,omitempty"`
	// End is how much there is so far.
	End int64 `json:"end"`
	// Gone: the executor knows nothing of the attempt.
	Gone bool `json:"gone,omitempty"`
}

// LogChunk is a live message of kind stdout or stderr.
type LogChunk struct {
	Offset int64  `json:"offset"`
	Data   []byte `json:"data"`
}

// Stage is a live message of kind stage: what the attempt does now.
type Stage struct {
	// Name is one of [SpanNames]: the stage that begins.
	Name string `json:"name"`
	AtUS int64  `json:"at_us"`
	// Detail is for people: "pulling image, 42%".
	Detail string `json:"detail,omitempty"`
}

// Event reports the end of an attempt: an outcome with its objects, or a failure.
type Event struct {
	Tenant  string   `json:"tenant"`
	Nonce   string   `json:"nonce"`
	Outcome *Outcome `json:"outcome,omitempty"`
	// ResultInline is the [Result] itself, of at most [MaxInline] bytes; Result is the
	// object of a larger one. Beside an outcome there is one of the two.
	ResultInline json.RawMessage `json:"result_inline,omitempty"`
	Result       *Object         `json:"result,omitempty"`
	Archive      *Object         `json:"archive,omitempty"`
	Index        *Object         `json:"index,omitempty"`
	Failure      *Failure        `json:"failure,omitempty"`
	AtUS         int64           `json:"at_us"`
}

// Report is an event that a gateway is asked to take at once.
type Report struct {
	Job     string `json:"job"`
	Attempt int    `json:"attempt"`
	Event
}

// Verdict is what became of the report of an attempt's end.
type Verdict string

// The verdicts.
const (
	VerdictAccepted Verdict = "accepted" // the job took its step
	VerdictRepeated Verdict = "repeated" // it had taken it before
	VerdictRefused  Verdict = "refused"  // the attempt does not hold the job
	VerdictAgain    Verdict = "again"    // it cannot be told now
)

// ReportReply answers a report. After [VerdictAgain] the executor leaves the
// event on the stream, where it waits for a gateway that can tell.
type ReportReply struct {
	Verdict Verdict `json:"verdict"`
}
