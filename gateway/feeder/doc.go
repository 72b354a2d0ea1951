// Package feeder decides which queued jobs are offered to executors, and when. It
// keeps every pool's stream shallow: about twice as many offers as there are slots
// to serve it, so that who comes late with one job need not wait behind somebody's
// thousand. Tenants share a lane by deficit round-robin, each up to its limits.
//
// It holds nothing that is not derived from the records that it is told of.
//
// It must not know how offers are published, what claims them, nor HTTP.
package feeder
