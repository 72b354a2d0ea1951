package guestsuite

import (
	"testing"
	"time"
)

// limits are each hit, and named.
func limits() []Case {
	return []Case{
		{Name: "wall", Sh: "sleep 100", Job: func(j *job) { j.Limits.WallMS = 300 }, Want: exit{Signal: 9, Limit: "wall", LimitsHit: []string{"wall"}}, Check: took(10 * time.Second)},
		{Name: "wall, ignored signals", Sh: "trap '' TERM INT HUP; while :; do sleep 1; done", Job: func(j *job) { j.Limits.WallMS = 300 }, Want: exit{Signal: 9, Limit: "wall", LimitsHit: []string{"wall"}}},
		{Name: "cpu", Sh: "while :; do :; done", Job: func(j *job) { j.Limits.CPUMS = 300 }, Want: exit{Signal: 9, Limit: "cpu", LimitsHit: []string{"cpu"}}, Check: func(t *testing.T, r Result) {
			if used := r.Exit.Rusage.UserUS + r.Exit.Rusage.SysUS; used < 250_000 || used > 3_000_000 {
				t.Errorf("used %d µs of 300 ms", used)
			}
		}},
		{Name: "cpu of all processes together", Sh: "while :; do :; done & while :; do :; done & wait", Job: func(j *job) { j.Limits.CPUMS = 300 }, Want: exit{Signal: 9, Limit: "cpu", LimitsHit: []string{"cpu"}}},
		{Name: "share of a processor", Sh: "i=0; while [ $i -lt 30000 ]; do i=$((i+1)); done", Job: func(j *job) { j.Limits.CPUsMilli = 200 }, Check: func(t *testing.T, r Result) {
			if used := r.Exit.Rusage.UserUS + r.Exit.Rusage.SysUS; r.Exit.WallUS < 2*used {
				t.Errorf("%d µs of processor in %d µs", used, r.Exit.WallUS)
			}
		}},
		{Name: "memory", Sh: "head -c 200m /dev/zero | tail | wc -c; echo survived", Job: func(j *job) { j.Limits.Memory = 32 << 20 }, Want: exit{Signal: 9, Limit: "memory", LimitsHit: []string{"memory"}}},
		{Name: "memory by scratch", Sh: "dd if=/dev/zero of=/tmp/x bs=1M count=60; echo survived", Job: func(j *job) { j.Limits.Memory = 16 << 20 }, Want: exit{Signal: 9, Limit: "memory", LimitsHit: []string{"memory"}}},
		{Name: "pids", Sh: "(i=0; while [ $i -lt 40 ]; do sleep 5 & i=$((i+1)); done) 2>/dev/null; exit 0", Job: func(j *job) { j.Limits.PIDs = 10 }, Want: exit{LimitsHit: []string{"pids"}}},
		{Name: "fork bomb", Sh: "bomb() { bomb | bomb & }; bomb 2>/dev/null & while :; do :; done", Job: func(j *job) { j.Limits.WallMS = 2000; j.Limits.PIDs = 32 }, Want: exit{Signal: 9, Limit: "wall", LimitsHit: []string{"pids", "wall"}}},
		{Name: "scratch", Sh: "dd if=/dev/zero of=/tmp/x bs=1M count=20 2>&1 | grep -o 'No space left'; sleep 0.2", Job: func(j *job) { j.Limits.Scratch = 4 << 20 }, Want: exit{LimitsHit: []string{"scratch"}}},
		{Name: "scratch, in inodes", Sh: "i=0; mkdir /tmp/d; cd /tmp/d; seq 1 70000 | xargs touch 2>/dev/null; sleep 0.1; true", Job: func(j *job) { j.Limits.Scratch = 1 << 20 }, Want: exit{LimitsHit: []string{"scratch"}}},
		{Name: "the machine is well after all that", Sh: "echo ok", Stdout: "ok\n"},
	}
}

func took(most time.Duration) func(*testing.T, Result) {
	return func(t *testing.T, r Result) {
		if d := r.ExitAt.Sub(r.StartedAt); d > most {
			t.Errorf("took %s", d)
		}
	}
}
