// Package jobqueue is the only user of NATS: it knows streams, buckets,
// consumers and subjects, and gives gateway and executor a small typed surface
// over them.
//
// A job passes it four times: its record is kept here (compare-and-set in a
// key-value bucket), it is offered here (a work-queue message that says no more
// than where to claim), the end of every attempt is reported here (events), and
// the conversation of claim, heartbeat and logs goes through its requests. The
// record owns the job; an offer is only an offer.
//
// The package must not know what a state or a lease means (gateway/coordinator
// does), nor the object store, nor a NATS server: that may be embedded or a
// cluster far away.
package jobqueue
