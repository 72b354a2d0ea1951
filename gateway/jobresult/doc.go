// Package jobresult reads what a job left: the result of the attempt that has
// the job, its logs, and any other object that its record or its result names.
// All of it was written by executors and lies in an object store, so it is
// believed only as far as it is what the record says: size and digest are
// checked of every object, and what is decompressed is bounded.
//
// What the record names and the store has not, or has with other bytes, is
// [ErrLost]: never nothing, and never the same as a store that does not answer.
//
// It must not know who asks, nor when results expire: its caller looks at the
// record for that.
package jobresult
