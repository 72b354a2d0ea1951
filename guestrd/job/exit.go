package job

import (
	"slices"
	"strings"

	"github.com/program-explorer/pe/guestrd/sandbox"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// exit puts together how the program ended: its own status, what the cgroup counted, what the watch saw.
func (r *Run) exit(e *sandbox.Exited) *guestproto.Exit {
	group := r.process.cgroup
	cpu := group.read("main/cpu.stat")
	exit := &guestproto.Exit{
		Code: e.Code, Signal: e.Signal, WallUS: e.WallUS,
		StdoutTruncated: r.pipes.stdout.truncated.Load(),
		StderrTruncated: r.pipes.stderr.truncated.Load(),
		LimitsHit:       r.watch.hits(),
		Limit:           r.watch.ended(),
		Rusage: guestproto.Rusage{
			UserUS:      valueOf(cpu, "user_usec"),
			SysUS:       valueOf(cpu, "system_usec"),
			MaxRSS:      e.Usage.Maxrss * 1024,
			MemoryPeak:  group.value("main/memory.peak", ""),
			MinorFaults: e.Usage.Minflt, MajorFaults: e.Usage.Majflt,
			VoluntarySw: e.Usage.Nvcsw, InvoluntarySw: e.Usage.Nivcsw,
		},
	}
	if group.value("main/memory.events", "oom_kill") > 0 {
		exit.LimitsHit = withLimit(exit.LimitsHit, guestproto.LimitMemory)
		if exit.Limit == "" && exit.Signal == 9 {
			exit.Limit = guestproto.LimitMemory
		}
	}
	if group.value("main/pids.events", "max") > 0 {
		exit.LimitsHit = withLimit(exit.LimitsHit, guestproto.LimitPIDs)
	}
	r.blame(exit)
	return exit
}

// withLimit adds a limit to a sorted set of them.
func withLimit(set []string, limit string) []string {
	at, found := slices.BinarySearch(set, limit)
	if found {
		return set
	}
	return slices.Insert(set, at, limit)
}

// line makes any text fit for a message: valid UTF-8, one line, at most 1 KiB.
func line(s string) string {
	s = strings.ToValidUTF8(s, "\ufffd")
	s = strings.ReplaceAll(s, "\n", " ")
	if len(s) > 1000 {
		s = strings.ToValidUTF8(s[:1000], "") + "…"
	}
	return s
}
