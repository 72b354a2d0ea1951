// Package coordinator owns a job from its submission to its end: the record in
// the key-value bucket, which only it writes and always by compare-and-set; the
// offers of queued jobs; the claims of executors, their heartbeats and leases; and
// the acceptance or refusal of what they report.
//
// Any number of coordinators run at once, one in each gateway. None leads:
// whatever one does another may do at the same time, and the record's revision
// decides. Everything that one remembers (index, feeder, fleet) is derived from
// the buckets and may be thrown away.
//
// It must not know HTTP, nor how a job is run.
package coordinator
