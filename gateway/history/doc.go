// Package history holds the records of jobs that ended some time ago. In the
// bucket of jobs each takes memory of the queue's server and of every gateway,
// whoever asks for it. Here hundreds of one tenant's are one compressed value, a
// page, and a gateway knows thirty bytes of each.
//
// A page is never changed but as a whole: by compare-and-set, when outputs or
// records in it expire. Pages of a tenant are numbered; who creates one has seen
// all before it, so no job comes into two.
//
// It must not know how jobs come to their ends, nor HTTP.
package history
