package pool

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// MemoryPressure returns a Config.Pressure that tells when less than reserve
// bytes of memory are left, on the host or under any limit of the cgroups that we
// are in. Default (0): a tenth of the total, or of the limit, but at least 512 MiB;
// and at most a quarter, lest a small host were always short. It is nil on systems
// other than Linux. What can't be read counts as enough.
func MemoryPressure(reserve int64) func() bool {
	watched := append(memoryGroups("/"), memory{read: hostMemory})
	return func() bool {
		for _, m := range watched {
			if total, left, ok := m.read(m.dir); ok && left < reserveOf(reserve, total) {
				return true
			}
		}
		return false
	}
}

const minReserve = 512 << 20

func reserveOf(reserve, total int64) int64 {
	if reserve > 0 {
		return reserve
	}
	return max(total/10, min(minReserve, total/4))
}

// memory is a bound on what we may use, and how to read its total and what is
// left of it, in bytes; not ok if there is no bound.
type memory struct {
	dir  string
	read func(dir string) (total, left int64, ok bool)
}

func hostMemory(string) (total, left int64, ok bool) {
	f := fields("/proc/meminfo")
	total, left = f["MemTotal:"]<<10, f["MemAvailable:"]<<10
	return total, left, total > 0 && left > 0
}

// memoryGroups are the cgroups whose limits hold for us, in either version, each
// with those above it. root is / but for tests.
func memoryGroups(root string) (all []memory) {
	own, err := os.ReadFile(filepath.Join(root, "proc/self/cgroup"))
	if err != nil {
		return nil
	}
	mounts, err := os.ReadFile(filepath.Join(root, "proc/self/mountinfo"))
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(g) < 3 {
			continue
		}
		controller, read := "", limitV2
		if g[0] == "cgroup" && strings.Contains(","+g[2]+",", ",memory,") {
			controller, read = "memory", limitV1
		} else if g[0] != "cgroup2" {
			continue
		}
		top := filepath.Join(root, f[4])
		path, ok := groupOf(string(own), controller, f[3])
		for dir := filepath.Join(top, path); ok; dir = filepath.Dir(dir) {
			all = append(all, memory{dir, read})
			ok = dir != top
		}
	}
	return all
}

// groupOf finds our cgroup of a hierarchy, relative to its mount, which may
// show a part of it only.
func groupOf(own, controller, shown string) (string, bool) {
	for line := range strings.Lines(own) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) != 3 || !strings.Contains(","+f[1]+",", ","+controller+",") {
			continue
		}
		path, ok := strings.CutPrefix(f[2], strings.TrimSuffix(shown, "/"))
		return path, ok && (path == "" || path[0] == '/')
	}
	return "", false
}

// What a cgroup's files were read into memory for is counted as used, and given
// back when it is asked for: the inactive part of it at once.

func limitV2(dir string) (total, left int64, ok bool) {
	total, bounded := number(filepath.Join(dir, "memory.max")) // "max": no bound
	used, known := number(filepath.Join(dir, "memory.current"))
	return total, total - used + fields(filepath.Join(dir, "memory.stat"))["inactive_file"], bounded && known
}

// noLimit is more than any host has: version 1 writes no limit as a number near 2⁶³.
const noLimit = 1 << 60

func limitV1(dir string) (total, left int64, ok bool) {
	total, bounded := number(filepath.Join(dir, "memory.limit_in_bytes"))
	used, known := number(filepath.Join(dir, "memory.usage_in_bytes"))
	return total, total - used + fields(filepath.Join(dir, "memory.stat"))["total_inactive_file"], bounded && known && total < noLimit
}

func number(path string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// fields reads lines of a name and a number.
func fields(path string) map[string]int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil
	}
	values := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		if f := strings.Fields(line); len(f) >= 2 {
			values[f[0]], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return values
}
