// Package qemu starts, watches and ends virtual machines. It is the only code
// that runs QEMU, and the "run" step of a job's life stands on it: an executor
// boots a Machine, talks to the guest over its Channel, fills and resizes its
// disks, and closes it; a machine is never used twice. Or it does all but the job
// once, bakes the machine, and restores a copy for each job, in a twentieth of the
// time of a boot.
//
// A guest is hostile, and so is a QEMU that a guest has taken over. QEMU runs as
// an unprivileged user, in its own sandbox, without network, with an empty
// environment and with no files but the descriptors that it inherits; whatever
// comes out of it (QMP, console, channel) is capped and checked.
//
// The package must not know jobs, queues or object stores: what travels over
// the channel is its caller's matter.
package qemu
