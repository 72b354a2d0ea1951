// Package vmbench measures what a baked machine is worth on this host: how fast it is restored beside
// how fast it boots, what it costs to load and discard or to load and store, how much memory many take,
// and whether many thousands leave something behind.
//
// It is no part of a job's life: operators and benchmarks call it by `ped vm bench`. It must not know
// the queue, the object store or how a machine's snapshot was baked.
package vmbench
