package schemas

import "strings"

// FailureCode names why the platform, not the user's program, failed.
type FailureCode string

// The codes. [FailureCode.Retryable] says which are worth another attempt.
const (
	// FailImage: the image cannot be had or used, and trying again changes nothing.
	FailImage FailureCode = "image"
	// FailImagePull: the registry did not answer, or not now.
	FailImagePull FailureCode = "image-pull"
	// FailInput: an input does not fit what the specification says of it.
	FailInput FailureCode = "input"
	// FailStage: an input could not be fetched.
	FailStage FailureCode = "stage"
	// FailMachine: the machine did not start.
	FailMachine FailureCode = "machine"
	// FailGuest: the machine died, hung or broke the protocol in mid-run.
	FailGuest FailureCode = "guest"
	// FailUpload: a result could not be stored.
	FailUpload FailureCode = "upload"
	// FailLost: the executor went silent.
	FailLost FailureCode = "executor-lost"
	// FailHandback: the executor shut down before the job ended.
	FailHandback FailureCode = "handed-back"
	// FailCapacity: no executor took the job in time, or the one that it names may not be named by its tenant.
	FailCapacity FailureCode = "no-executor"
	// FailDeadline: the job's deadline passed before it had ended.
	FailDeadline FailureCode = "deadline"
	// FailInternal: a defect of ours.
	FailInternal FailureCode = "internal"
)

// FailureCodes lists all of them.
var FailureCodes = []FailureCode{FailImage, FailImagePull, FailInput, FailStage, FailMachine, FailGuest, FailUpload, FailLost, FailHandback, FailCapacity, FailDeadline, FailInternal}

// Retryable reports whether another attempt may end differently.
func (c FailureCode) Retryable() bool {
	return c != FailImage && c != FailInput && c != FailCapacity && c != FailDeadline
}

// Failure is the platform's own failure. A program's exit code is never one:
// that is an [Outcome].
type Failure struct {
	Code FailureCode `json:"code"`
	// Message is one line for the user, at most 1 KiB.
	Message string `json:"message"`
	// Retryable says whether another attempt may end differently.
	Retryable bool `json:"retryable"`
}

// MaxFailureMessage bounds Failure.Message, in bytes.
const MaxFailureMessage = 1024

// NewFailure cuts the message to its bound and sets Retryable from the code.
func NewFailure(code FailureCode, message string) *Failure {
	message = strings.ToValidUTF8(message, "\uFFFD") // JSON would replace it, and lengthen it
	if len(message) > MaxFailureMessage {
		message = strings.ToValidUTF8(message[:MaxFailureMessage-3], "") + "..."
	}
	return &Failure{Code: code, Message: message, Retryable: code.Retryable()}
}

func (f *Failure) Error() string { return string(f.Code) + ": " + f.Message }
