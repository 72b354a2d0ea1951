// Package schemas holds everything that two programs of the system say to
// each other: the job specification and its validation, the job's record and
// result, the state machine, failure codes, control messages between gateway
// and executor, and the names of subjects and object keys.
//
// It is the first stop of a job (a specification is validated here) and the
// last (a result is decoded here). It imports the standard library alone and
// must not know how anything is stored, queued or run.
package schemas
