package schemas

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// Bounds of a batch of submissions.
const (
	// MaxBatchJobs is how many jobs a batch may have; what the queue takes at once.
	MaxBatchJobs = 1000
	// MaxBatchBytes bounds a posted batch in JSON; each specification has its own bound, too.
	MaxBatchBytes = 16 * mib
)

// Modes of a batch.
const (
	// BatchAll takes all jobs or none.
	BatchAll = "all"
	// BatchEach takes what can be taken, and says of each other job why not.
	BatchEach = "each"
)

// BatchModes lists them, the default first.
var BatchModes = []string{BatchAll, BatchEach}

// JobBatch is the body of POST /v1/jobs:batch.
type JobBatch struct {
	// Jobs are 1 to [MaxBatchJobs] specifications.
	Jobs []JobSpec `json:"jobs"`
	// Mode is all (default): all jobs or none; or each.
	Mode string `json:"mode,omitempty"`
}

// BatchReply answers it: one item for each job, in the order of the request.
type BatchReply struct {
	Jobs []BatchItem `json:"jobs"`
}

// BatchItem is what became of one job of a batch: exactly one of its fields is set.
type BatchItem struct {
	// Job is as in lists, without its specification.
	Job *Job `json:"job,omitempty"`
	// Problem says why it was not taken.
	Problem *ProblemDocument `json:"problem,omitempty"`
}

// PostedBatch is a batch whose specifications are yet to be decoded, each by [DecodeJobSpec].
type PostedBatch struct {
	Jobs []json.RawMessage `json:"jobs"`
	Mode string            `json:"mode"`
}

var postedBatchShape = shapeOf[PostedBatch]()

// DecodeBatch reads a posted batch of at most [MaxBatchBytes], strictly but for
// what the specifications hold. It returns every problem of the batch itself at
// once. The error is [ErrTooLarge], a [*SyntaxError], or the reader's.
func DecodeBatch(r io.Reader) (PostedBatch, []Problem, error) {
	var b PostedBatch
	data, err := readAtMost(r, MaxBatchBytes)
	if err != nil {
		return b, nil, fmt.Errorf("read batch: %w", err)
	}
	found, err := inspect(data, postedBatchShape, false)
	if err != nil {
		return b, nil, err
	}
	if len(found.list) == 0 {
		if err := json.Unmarshal(data, &b); err != nil {
			found.add("", "%v", err)
		}
	}
	if b.Mode == "" {
		b.Mode = BatchAll
	}
	if !slices.Contains(BatchModes, b.Mode) {
		found.add("/mode", "%s", wantOneOf(b.Mode, BatchModes))
	}
	if n := len(b.Jobs); len(found.list) == 0 && (n == 0 || n > MaxBatchJobs) {
		found.add("/jobs", "has %d jobs; want 1 to %d", n, MaxBatchJobs)
	}
	return b, found.list, nil
}

// InBatch makes problems of job i of a batch problems of the batch.
func InBatch(i int, problems []Problem) []Problem {
	at := pointer("/jobs").item(i)
	moved := make([]Problem, len(problems))
	for j, p := range problems {
		moved[j] = Problem{Pointer: string(at) + p.Pointer, Message: p.Message}
	}
	return moved
}
