// Package fleet knows the executors: what each has, when it was last heard, which
// pools it is to serve, and when one that is silent is lost. All of it is derived from
// their registrations in the bucket and from their heartbeats.
//
// It must not know what jobs they hold, the queue, nor HTTP.
package fleet
