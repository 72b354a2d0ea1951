package schemas

import "encoding/json"

// Record is a job's entry in the key-value bucket: the one thing that says
// what state the job is in. Only gateways write it, always by compare-and-set.
// What may be large is an object in the store.
type Record struct {
	Version int      `json:"v"`
	ID      string   `json:"id"`
	Tenant  string   `json:"tenant"`
	State   State    `json:"state"`
	Lane    string   `json:"lane"`
	Pool    string   `json:"pool"`
	Needs   Requires `json:"needs"`
	Image   ImageRef `json:"image"`
	// SpecInline is the specification itself, if it has at most [MaxInline] bytes and
	// there is room; else Spec is its object: <tenant>/jobs/<job>/spec.json.
	SpecInline     json.RawMessage   `json:"spec_inline,omitempty"`
	Spec           Object            `json:"spec,omitzero"`
	Labels         map[string]string `json:"labels,omitempty"`
	IdempotencyKey string            `json:"idem,omitempty"`
	// IdempotencyDigest is of the request that came with the key: another request under it is refused.
	IdempotencyDigest string `json:"idem_digest,omitempty"`
	// Instants in microseconds since the Unix epoch. QueuedUS is the start of the present wait.
	CreatedUS int64 `json:"created_us"`
	QueuedUS  int64 `json:"queued_us"`
	EndedUS   int64 `json:"ended_us,omitempty"`
	// NotBeforeUS delays the next attempt.
	NotBeforeUS int64 `json:"not_before_us,omitempty"`
	// WallMS bounds how long an attempt may hold its lease without a result.
	WallMS int64 `json:"wall_ms"`
	// QueueTimeoutMS bounds the present wait, from QueuedUS; 0 in records of before there was one.
	QueueTimeoutMS int64 `json:"queue_timeout_ms,omitempty"`
	// Callback is the address that the job's end is told to; no specification that executors see has it.
	Callback string `json:"callback,omitempty"`
	// DeadlineUS is when the job must have ended, in microseconds since the Unix epoch; 0 for never.
	DeadlineUS int64 `json:"deadline_us,omitempty"`
	// Cancel is set when the client asked to cancel a running job.
	Cancel bool `json:"cancel,omitempty"`
	// Attempts are all of them, the newest last; its N is the fence token.
	// Of a job that was brought back, the oldest may be missing.
	Attempts []Attempt `json:"attempts,omitempty"`
	// Forgiven is the number of the last attempt before the job was brought back, or
	// of one before it of the same id: up to it they count towards no bound.
	Forgiven int `json:"forgiven,omitempty"`
	// Outcome is set by the accepted attempt, and with it what it produced: ResultInline
	// is the [Result] itself, as in [Event]; else Result is its object. Failure is set
	// in the states dead and expired.
	Outcome      *Outcome        `json:"outcome,omitempty"`
	ResultInline json.RawMessage `json:"result_inline,omitempty"`
	Result       *Object         `json:"result,omitempty"`
	Archive      *Object         `json:"archive,omitempty"`
	Failure      *Failure        `json:"failure,omitempty"`
	// CacheKey is what the job's result may be kept under, "<epoch>.<hash>". It is
	// empty if the job bypasses the cache, or once its result was seen to be none to keep.
	CacheKey string `json:"cache_key,omitempty"`
	// CacheFailures is the specification's.
	CacheFailures bool `json:"cache_failures,omitempty"`
	// Follows is the job whose result this queued one waits for: the same job, which
	// came before. It is not offered meanwhile.
	Follows string `json:"follows,omitempty"`
	// Source is the job whose result this one's is; nil if it is its own.
	Source *Source `json:"source,omitempty"`
	// PurgedUS is when the outputs expired: from then on no object of an attempt
	// counts on being there, and no other job may point at this one's result.
	PurgedUS int64 `json:"purged_us,omitempty"`
}

// MaxInline bounds a specification and a result, each, that stand in a record
// instead of being objects, in bytes of JSON.
const MaxInline = 2 * kib

// HasResult reports whether an attempt's result was accepted, wherever it is kept.
func (r *Record) HasResult() bool { return r.Result != nil || r.ResultInline != nil }

// RecordVersion is the version this package writes.
const RecordVersion = 1

// MaxRecordBytes bounds a record in JSON.
const MaxRecordBytes = 8 * kib

// ImageRef is an image after the gateway resolved it.
type ImageRef struct {
	// Reference is the name with registry and repository.
	Reference string `json:"reference"`
	// Digest is of the manifest or index that the reference named at submission.
	Digest string `json:"digest"`
}

// Attempt is one try to run a job.
type Attempt struct {
	// N counts from 1; in the place of a removed job of the same idempotency key, on
	// from that one's.
	N        int    `json:"n"`
	Executor string `json:"executor"`
	// Nonce of the claim: the same claim asked again gets the same attempt.
	Nonce     string   `json:"nonce,omitempty"`
	ClaimedUS int64    `json:"claimed_us"`
	EndedUS   int64    `json:"ended_us,omitempty"`
	Failure   *Failure `json:"failure,omitempty"`
}

// ExpiresUS is when a queued job's wait ends, by its queue timeout or its
// deadline, in microseconds since the Unix epoch; 0 if it never does.
func (r *Record) ExpiresUS() int64 {
	if r.State != StateQueued {
		return 0
	}
	if r.QueueTimeoutMS == 0 {
		return r.DeadlineUS
	}
	timeout := r.QueuedUS + r.QueueTimeoutMS*1000
	if r.DeadlineUS == 0 {
		return timeout
	}
	return min(timeout, r.DeadlineUS)
}

// Current returns the attempt that holds the job, or nil unless it is running.
func (r *Record) Current() *Attempt {
	if r.State != StateRunning || len(r.Attempts) == 0 {
		return nil
	}
	return &r.Attempts[len(r.Attempts)-1]
}

// Stored reports whether an ended job's result has objects in the store: what
// expires as its outputs.
func (r *Record) Stored() bool {
	return r.State.Terminal() && (r.Result != nil || r.Archive != nil) && r.PurgedUS == 0
}

// ResultExpired reports whether the job had a result that expired with its outputs.
func (r *Record) ResultExpired() bool { return r.PurgedUS != 0 && r.ResultInline == nil }

// Accepted is the job's own attempt whose outcome it has: always the last, as no
// attempt begins after one was accepted. It is 0 if there is none.
func (r *Record) Accepted() int {
	if r.Outcome == nil || r.Source != nil || len(r.Attempts) == 0 {
		return 0
	}
	return r.Attempts[len(r.Attempts)-1].N
}
