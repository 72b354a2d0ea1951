// Package ocirun starts machines with an OCI runtime of the host, runsc, runc or crun: the
// only code that does. It makes what such a machine must not make itself, for lack of privilege:
// its root (the image's EROFS under an overlay on a tmpfs of limited size), its namespaces, its
// cgroup; it reads from the last which limits were hit, and takes all of it away again.
//
// It must not know jobs, images, the queue, the store, or what is said on a machine's channel.
package ocirun
