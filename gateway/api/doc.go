// Package api is the gateway's HTTP API: the door through which a job enters
// and by which its result leaves.
//
// It validates and resolves a posted specification, hands it to the
// coordinator, and joins the record that the coordinator keeps with the
// objects that belong to it: specification, result, logs, outputs. Clients and
// output files are hostile: every body is capped, digests are verified, and
// what a job made is served so that no browser runs it.
//
// The package must not know how jobs are queued (that is the coordinator's and
// the jobqueue's), how images are built, or what an executor is beyond the
// facts that it registered.
package api
