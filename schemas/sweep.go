package schemas

import (
	"encoding/json"
	"fmt"
	"io"
	"slices"
)

// SweepRequest is the body of POST /v1/admin/sweep.
type SweepRequest struct {
	// DryRun deletes nothing, and reports what a sweep would delete now.
	DryRun bool `json:"dry_run,omitempty"`
	// GraceMS spares objects that are younger, whose record may be about to be
	// written; default the gateway's, an hour.
	GraceMS *int64 `json:"grace_ms,omitempty"`
}

const (
	// MaxGraceMS bounds SweepRequest.GraceMS: 30 days.
	MaxGraceMS = 30 * 24 * 3600 * 1000
	// MaxSweepRequestBytes bounds a posted request.
	MaxSweepRequestBytes = 4 * kib
)

// Events of the stream that answers a sweep.
const (
	SweepProgress = "progress" // a [SweepReport] of what was done so far
	SweepEnd      = "report"   // the whole one; nothing follows
	SweepProblem  = "problem"  // a [ProblemDocument]: it was broken off; nothing follows
)

var sweepRequestShape = shapeOf[SweepRequest]()

// DecodeSweepRequest reads a posted request of at most [MaxSweepRequestBytes],
// as strictly as [DecodeControl].
func DecodeSweepRequest(r io.Reader) (SweepRequest, error) {
	data, err := readAtMost(r, MaxSweepRequestBytes)
	if err != nil {
		return SweepRequest{}, fmt.Errorf("read sweep request: %w", err)
	}
	return decode[SweepRequest]("sweep request", data, MaxSweepRequestBytes, sweepRequestShape)
}

func (r *SweepRequest) check(ps *problems) {
	ps.require("/grace_ms", r.GraceMS == nil || *r.GraceMS >= 0 && *r.GraceMS <= MaxGraceMS, "0 to 2592000000, 30 days")
}

// Why an object is garbage.
const (
	GarbageNoRecord    = "no-record"    // of a job that is not there
	GarbageLostAttempt = "lost-attempt" // of an attempt that did not win, of a job that has ended
	GarbageExpired     = "expired"      // of a job whose outputs have expired
	GarbageSpec        = "spec"         // a specification that its record does not name
	GarbageInput       = "input"        // an input that has expired and that no job needs
	GarbageTemporary   = "temporary"    // below tmp/
)

// GarbageKinds lists all of them.
var GarbageKinds = []string{GarbageNoRecord, GarbageLostAttempt, GarbageExpired, GarbageSpec, GarbageInput, GarbageTemporary}

// ObjectCount is a number of objects and their bytes together.
type ObjectCount struct {
	Objects int64 `json:"objects"`
	Bytes   int64 `json:"bytes"`
}

// Add counts an object of size bytes.
func (c *ObjectCount) Add(size int64) { c.Objects++; c.Bytes += size }

// Garbage is what a sweep deleted, or would have, of one kind and tenant.
type Garbage struct {
	Kind string `json:"kind"`
	// Tenant whose it was; empty for what is nobody's.
	Tenant string `json:"tenant,omitempty"`
	ObjectCount
	// Examples are up to MaxGarbageExamples of their keys.
	Examples []string `json:"examples"`
}

// MaxGarbageExamples bounds Garbage.Examples.
const MaxGarbageExamples = 3

// SweepReport is what a sweep did. Sweeping streams one as it goes on, and the last is whole.
type SweepReport struct {
	DryRun bool `json:"dry_run,omitempty"`
	// Done is set in the last report alone.
	Done      bool  `json:"done,omitempty"`
	StartedUS int64 `json:"started_us"`
	EndedUS   int64 `json:"ended_us,omitempty"`
	// Listed are all objects that were looked at.
	Listed ObjectCount `json:"listed"`
	// Young are those that were spared for their age alone.
	Young ObjectCount `json:"young"`
	// Foreign are those that no part of the system makes. They are left alone.
	Foreign ObjectCount `json:"foreign"`
	// Garbage is sorted by tenant and kind.
	Garbage []Garbage `json:"garbage"`
	// Failed is how many objects could not be deleted; the next sweep tries again.
	Failed int64 `json:"failed,omitempty"`
	// Keys is how many ids of removed jobs were freed.
	Keys int64 `json:"keys,omitempty"`
}

// MarshalJSON writes empty lists as [].
func (r SweepReport) MarshalJSON() ([]byte, error) {
	type plain SweepReport
	r.Garbage = filled(slices.Clone(r.Garbage))
	for i := range r.Garbage {
		r.Garbage[i].Examples = filled(r.Garbage[i].Examples)
	}
	return json.Marshal(plain(r))
}

// Total is all garbage together.
func (r *SweepReport) Total() (c ObjectCount) {
	for _, g := range r.Garbage {
		c.Objects += g.Objects
		c.Bytes += g.Bytes
	}
	return c
}
