// Package pool keeps machines waiting, so that a job needn't wait for one. An
// executor tells it which kinds of machine its jobs want, the pool makes some of
// each in the background, and a job takes one in the place of starting it. What
// was taken is the job's: the pool never sees it again.
//
// How many of a kind wait follows from how often it was taken of late, within the
// kind's own bounds and one budget of memory for all. Where the budget isn't
// enough the kinds in most demand have it, and where the host runs short of
// memory the pool gives all of it back.
//
// The package must not know what a machine is, how one is made, or jobs and
// queues: a kind is a key and a function.
package pool
