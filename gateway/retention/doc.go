// Package retention lets things end: outputs and records of jobs by policy,
// inputs that nobody needs, and what crashes left in the object store. It comes
// after everything else in a job's life.
//
// Two loops do it, in every gateway. One expires: it marks records whose outputs
// are too old, and removes records that are. The other sweeps: it lists the
// object store and deletes what no record accounts for. Only records decide; a
// crash between the two stores leaves an object without a record, never a record
// without its objects.
//
// It must not know HTTP, nor how a job is run.
package retention
