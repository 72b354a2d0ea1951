// Package hosttest is what tests need of the host that they run on: programs that
// are built for them, processes, mounts, free addresses. It is for tests alone, and
// knows nothing of jobs.
package hosttest
