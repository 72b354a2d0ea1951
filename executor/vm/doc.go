// Package vm runs a job in a QEMU machine with a guest of our own: it joins
// executor/qemu, which starts machines and knows no protocol, with
// executor/session, which speaks the protocol and knows no machine.
//
// It must not know the queue, the object store or who asked for the job.
package vm
