package history

import (
	"cmp"
	"hash/fnv"
	"slices"

	"github.com/program-explorer/pe/schemas"
)

// job is what is known of a job in a page without reading it. There is one for
// each job whose record is kept: a test bounds its size.
type job struct {
	high   uint64
	after  uint32 // see [page.created]
	low    uint16
	won    uint8
	traits traits
}

// traits are a state's place in [schemas.States], and what is true of the job.
type traits uint8

const (
	stateBits traits = 7
	// stored: objects of its result are kept.
	stored traits = 1 << (iota + 2)
	// cached: its result is another job's.
	cached
	// derived: its id has no time.
	derived
	// odd: its id has another time than that of its creation.
	odd
)

// wonUnknown stands for an attempt whose number is too large.
const wonUnknown = 255

// compact keeps of a record what is asked for most.
func compact(rec *schemas.Record) job {
	id := schemas.SplitJobID(rec.ID)
	j := job{high: id.High, low: id.Low, traits: traits(slices.Index(schemas.States, rec.State))}
	if rec.PurgedUS == 0 {
		j.won = uint8(min(rec.Accepted(), wonUnknown))
	}
	if rec.Stored() {
		j.traits |= stored
	}
	if rec.Source != nil {
		j.traits |= cached
	}
	switch id.TimeMS {
	case uint64(rec.CreatedUS / 1000):
	case 0:
		j.traits |= derived
	default:
		j.traits |= odd
	}
	return j
}

func (j *job) is(t traits) bool { return j.traits&t != 0 }

func (j *job) state() schemas.State { return schemas.States[j.traits&stateBits] }

// id is that of a job which was created at an instant in microseconds, unless it is odd.
func (j *job) id(created int64) string {
	parts := schemas.JobIDParts{TimeMS: uint64(created / 1000), High: j.high, Low: j.low}
	if j.is(derived) {
		parts.TimeMS = 0
	}
	return parts.JobID()
}

// signature tells which labels a job does not have: each label sets two of its bits.
type signature uint32

func signatureOf(labels map[string]string) (s signature) {
	for k, v := range labels {
		h := fnv.New32a()
		h.Write([]byte(k + "\x00" + v)) // never fails
		sum := h.Sum32()
		s |= 1<<(sum%32) | 1<<(sum/32%32)
	}
	return s
}

// may is false if a job with this signature does not have all labels of the other one.
func (s signature) may(have signature) bool { return s&have == have }

// Mark is a place in the order of a tenant's jobs, that of [schemas.CompareJobs].
type Mark struct {
	CreatedUS int64
	ID        string
}

// Compare is negative if m is that of an older job.
func (m Mark) Compare(other Mark) int {
	return cmp.Or(cmp.Compare(m.CreatedUS, other.CreatedUS), cmp.Compare(m.ID, other.ID))
}
