package e2e

import (
	"path/filepath"
	"strings"
	"testing"
)

// onNothing are the flags of a job that runs nothing: all else of its life is real.
var onNothing = []string{"--image", "busybox", "--isolation", "container", "--kernel", "noop"}

// upNothing is a `ped up` that runs nothing.
func upNothing(t *testing.T, args ...string) system {
	t.Helper()
	return up(t, append([]string{"--isolation", "noop", "--grace", "1s"}, args...)...)
}

// submitNothing returns the id of a job that runs nothing.
func (s server) submitNothing(t *testing.T) string {
	t.Helper()
	return strings.TrimSpace(s.pe(t, append([]string{"submit"}, onNothing...)...).want(t, 0).stdout)
}

// startNothing runs an executor whose jobs pretend to run for so long.
func startNothing(t *testing.T, queue nats, id, dir, run string) *daemon {
	t.Helper()
	args := []string{"executor", "--executor-id", id, "--data-dir", filepath.Join(dir, "data"),
		"--catalog", catalog(t, dir), "--allow-loopback-registry", "--isolation", "noop", "--noop-run", run, "--slots", "2"}
	return served(t, "ped", append(args, queue.as(id)...)...)
}
