// Package campaign keeps campaigns: jobs of a tenant that belong together, by their
// label, of which somebody says when no more are expected and wants to know when all
// have ended. It comes after a job's end, beside package webhook, which it hands the
// campaign's own end to.
//
// A campaign is an entry in a bucket, which gateways write by compare-and-set. The end
// is derived: whichever gateway hears that the last job of a closed campaign has ended
// writes so, with the counts, once its index has caught up with all records that there
// are. Every gateway does, so none that dies keeps a campaign from ending, nor its end
// from being told. Jobs do not know of it, and cost nothing more.
//
// It must not know HTTP, nor how jobs are kept: it asks for counts.
package campaign
