package e2e

import (
	"slices"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// TestLimits hits each limit that ends a job; exit code and words name it.
func TestLimits(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct {
		limit string
		flags []string
		shell string
	}{
		{schemas.LimitWall, []string{"--wall", "2s"}, "sleep 600"},
		{schemas.LimitCPU, []string{"--cpu-time", "1s", "--wall", "5m"}, "while :; do :; done"},
		{schemas.LimitMemory, []string{"--memory", "32M", "--wall", "5m"}, "head -c 200m /dev/zero | tail | wc -c"},
		{schemas.LimitOutput, []string{"--output-limit", "1M"}, "dd if=/dev/urandom of=/output/big bs=1M count=4 2>/dev/null"},
	} {
		t.Run(c.limit, func(t *testing.T) {
			t.Parallel()
			args := append([]string{"run", "--image", "busybox"}, c.flags...)
			s.pe(t, append(args, "--", "sh", "-c", c.shell)...).want(t, 124).says(t, c.limit+" limit", c.flags[0])
		})
	}
}

// TestLimitsSurvived: these hurt the program, which may go on. The result names them all the same.
func TestLimitsSurvived(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for _, c := range []struct {
		limit string
		flags []string
		shell string
	}{
		{schemas.LimitPids, []string{"--pids", "16"}, "(i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done) 2>/dev/null; exit 0"},
		{schemas.LimitScratch, []string{"--scratch", "8M"}, "dd if=/dev/zero of=/tmp/fill bs=1M count=64; true"},
	} {
		t.Run(c.limit, func(t *testing.T) {
			t.Parallel()
			job := s.busybox(t, c.shell, c.flags...)
			if job.Outcome == nil || !slices.Contains(job.Outcome.LimitsHit, c.limit) {
				t.Errorf("state %s, outcome %+v, want %s among the limits hit", job.State, job.Outcome, c.limit)
			}
		})
	}
}

// TestLimitsOutOfRange are refused before anything runs, all at once.
func TestLimitsOutOfRange(t *testing.T) {
	t.Parallel()
	shared(t).pe(t, "run", "--image", "busybox", "--memory", "1K", "--pids", "1000000", "--", "true").
		want(t, 125).says(t, "--memory: want 16M to 256G", "--pids: want 1 to 32768")
}
