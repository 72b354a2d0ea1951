// Package oci runs a job in a gVisor sandbox or a container: it joins executor/ocirun, which
// makes them and knows no protocol, with executor/session, which speaks the protocol and knows
// no machine.
//
// It must not know the queue, the object store or who asked for the job.
package oci
