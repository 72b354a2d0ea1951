package oci

import (
	"fmt"
	"strings"

	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Enforcement says who enforces a limit and how a hit is seen.
type Enforcement struct {
	// Limit is guestproto's name of it.
	Limit string
	// By is who enforces it, Seen how it is known that it was hit, both for people.
	By, Seen string
}

// Enforcements are all limits by kind of machine, in the order of guestproto.Limits.
func Enforcements() map[string][]Enforcement {
	return map[string][]Enforcement{
		schemas.IsolationVM: {
			{guestproto.LimitWall, "guestrd; 5 s later the host", "guestrd's clock"},
			{guestproto.LimitCPU, "guestrd, every 20 ms", "`cpu.stat` of the job's cgroup in the machine"},
			{guestproto.LimitMemory, "the machine's kernel: `memory.max`, the whole job at once", "`memory.events`"},
			{guestproto.LimitPIDs, "the machine's kernel: `pids.max`", "`pids.events`"},
			{guestproto.LimitScratch, "the machine's kernel: size of a tmpfs", "guestrd looks every 20 ms and at the end whether it is full"},
			{guestproto.LimitOutput, "guestrd while it packs; the size of the output disk", "guestrd, by the archive's size"},
		},
		schemas.IsolationGVisor: {
			{guestproto.LimitWall, "guestrd; 0.25 s later the host", "guestrd's clock, or the host's"},
			{guestproto.LimitCPU, "the host, every 20 ms", "CPU time of the sandbox's cgroup, gVisor's kernel included"},
			{guestproto.LimitMemory, "the host's kernel: cgroup of the sandbox, which ends as a whole, without outputs", "OOM kills counted by the cgroup"},
			{guestproto.LimitPIDs, "gVisor's kernel: its pids cgroup, set by guestrd; the host's cgroup as a last bound on threads", "guestrd looks every 20 ms whether there are as many as allowed"},
			{guestproto.LimitScratch, "the host's kernel: size of a tmpfs", "the host looks every 20 ms and at the end whether it is full"},
			{guestproto.LimitOutput, "guestrd while it packs; the host while it receives", "guestrd, by the archive's size"},
		},
		schemas.IsolationContainer: {
			{guestproto.LimitWall, "guestrd; 0.25 s later the host", "guestrd's clock, or the host's"},
			{guestproto.LimitCPU, "the host, every 20 ms", "CPU time of the container's cgroup"},
			{guestproto.LimitMemory, "the host's kernel: cgroup of the container; then the host ends the job", "OOM kills counted by the cgroup"},
			{guestproto.LimitPIDs, "the host's kernel: pids cgroup of the container", "`pids.events` of the cgroup"},
			{guestproto.LimitScratch, "the host's kernel: size of a tmpfs", "the host looks every 20 ms and at the end whether it is full"},
			{guestproto.LimitOutput, "guestrd while it packs; the host while it receives", "guestrd, by the archive's size"},
		},
	}
}

// EnforcementTable is Enforcements as a table in Markdown.
func EnforcementTable() string {
	var b strings.Builder
	b.WriteString("| isolation | limit | enforced by | a hit is seen by |\n|---|---|---|---|\n")
	all := Enforcements()
	for _, kind := range []string{schemas.IsolationVM, schemas.IsolationGVisor, schemas.IsolationContainer} {
		for _, e := range all[kind] {
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", kind, e.Limit, e.By, e.Seen)
		}
	}
	return b.String()
}
