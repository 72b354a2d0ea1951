// Package snapshot keeps baked machines on disk: what executor/qemu's Bake has left,
// under a key of all that shaped it, so that a job's machine is restored and not booted.
//
// Its place in a job's life: between the image's root filesystem, which a snapshot pins, and the
// machine, which is restored from its Template. Several processes may use one folder.
//
// It must not know jobs, the queue, the guest protocol or how a machine is baked: that is
// a function of its caller's.
package snapshot
