// Package natsconf writes what a NATS server of a system that runs apart is
// configured with: a user for each gateway and each executor, with exactly the
// subjects that it needs, and JetStream as package jobqueue wants it.
//
// Users prove themselves with nkeys, Ed25519 key pairs: the configuration has
// their public halves, so nothing in it is secret, and a seed never leaves the
// machine that it was made on.
//
// The package starts no server and connects to none.
package natsconf
