package doctor

import (
	"fmt"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/executor/qemu"
)

const (
	gib = 1 << 30
	// A data directory with less is of no use: one image takes some hundred MiB.
	leastDisk = 2 * gib
	goodDisk  = 20 * gib
	// A job's machine takes 1 GiB by default: 512 MiB for the job, rounded up.
	leastMemory = gib
	goodMemory  = 4 * gib
)

func writable(dir string) bool { return unix.Access(dir, unix.W_OK) == nil }

func (c Config) disk() Check {
	check := Check{Name: "disk space", Status: OK}
	dir := existing(c.DataDir)
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		check.Status, check.Detail = Warn, fmt.Sprintf("ask for the free space of %s: %v", dir, err)
		return check
	}
	free := fs.Bavail * uint64(fs.Bsize)
	check.Detail = fmt.Sprintf("%.1f GiB free in %s", float64(free)/gib, dir)
	check.Status = judge(free, leastDisk, goodDisk)
	if check.Status != OK {
		check.Fix = "free some, choose another --data-dir, or lower --image-cache-size (20GiB)"
	}
	return check
}

func judge(have, least, good uint64) Status {
	switch {
	case have < least:
		return Fail
	case have < good:
		return Warn
	}
	return OK
}

func (c Config) user() Check {
	if os.Geteuid() == 0 {
		return Check{Name: "user", Status: OK, Detail: "root: each QEMU runs as an unprivileged user of its own"}
	}
	return Check{
		Name: "user", Status: Warn, Detail: "not root: every QEMU runs as this user, so a guest that broke out could reach the others",
		Fix: "for other people's jobs, run it as root (a system service)",
	}
}

func (c Config) cgroups() Check {
	if _, err := qemu.FindCgroups(); err != nil {
		return Check{
			Name: "cgroups", Status: Warn, Detail: "the host does not bound QEMU's memory and CPU from outside: " + err.Error(),
			Fix: "limits inside the guest hold all the same; run as root or as a service with Delegate=yes for both",
		}
	}
	return Check{Name: "cgroups", Status: OK, Detail: "each QEMU is bounded from outside, too"}
}

func (c Config) memory() Check {
	check := Check{Name: "memory", Status: OK}
	text, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		check.Status, check.Detail = Warn, "not known here: "+err.Error()
		return check
	}
	available := availableMemory(string(text))
	check.Detail = fmt.Sprintf("%.1f GiB available", float64(available)/gib)
	check.Status = judge(available, leastMemory, goodMemory)
	if check.Status != OK {
		check.Fix = "one job takes 1 GiB by default: run few --slots"
	}
	return check
}

// availableMemory reads MemAvailable of /proc/meminfo, in bytes.
func availableMemory(meminfo string) uint64 {
	for line := range strings.Lines(meminfo) {
		var kib uint64
		if n, _ := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); n == 1 {
			return kib << 10
		}
	}
	return 0
}
