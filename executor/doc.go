// Package executor runs jobs: it claims what it is capable of from the queue,
// stages image and inputs, runs the job in a machine of its own, collects the
// outputs and reports. Its central function, [Executor.process], reads as
// those steps.
//
// It reaches objects only through requests that a gateway signed, and holds no
// credentials of the store. It must not know how the gateway keeps records,
// nor how a machine is made: that is a [Runner]'s business.
package executor
