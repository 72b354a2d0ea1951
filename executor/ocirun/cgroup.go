//go:build linux

package ocirun

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// unified is the only "controller" of version 2.
const unified = ""

// Times over which a share of processors is counted, in microseconds: short, so that a short job keeps to
// its share, too; but a quota has to be a millisecond at least.
const (
	cpuPeriod      = 20_000
	longPeriod     = 100_000
	longPeriodFrom = 100 // thousandths of a processor, and less
)

// cgroup is a machine's folders: one in version 2, one for each controller in version 1.
type cgroup struct {
	name    string
	parents *Cgroups
	dirs    map[string]string
}

// runtimePath is where a runtime that insists on placing the machine itself finds the group.
func (g *cgroup) runtimePath() string {
	if dir, ok := g.dirs[unified]; ok {
		return strings.TrimPrefix(dir, g.parents.v2Mount)
	}
	return g.name // relative to the runtime's own group, which is ours, in each hierarchy
}

// limit sets those limits that are not zero.
func (g *cgroup) limit(l Limits) error {
	number := func(n int64) string { return strconv.FormatInt(n, 10) }
	var errs []error
	set := func(controller, v1, v2, value string) {
		if err := g.write(controller, v1, v2, value); err != nil {
			errs = append(errs, fmt.Errorf("limit machine: %w", err))
		}
	}
	if l.MemoryBytes > 0 {
		set("memory", "memory.limit_in_bytes", "memory.max", number(l.MemoryBytes))
		// Without swap, as in a machine of its own; a kernel may have none to forbid.
		_ = g.write("memory", "memory.memsw.limit_in_bytes", "memory.swap.max", map[bool]string{true: "0", false: number(l.MemoryBytes)}[g.v2()])
	}
	if l.PIDs > 0 {
		set("pids", "pids.max", "pids.max", number(l.PIDs))
	}
	if l.CPUsMilli > 0 {
		period := int64(cpuPeriod)
		if l.CPUsMilli <= longPeriodFrom {
			period = longPeriod
		}
		quota := number(max(1000, l.CPUsMilli*period/1000))
		if g.v2() {
			set("cpu", "", "cpu.max", quota+" "+number(period))
		} else {
			set("cpu", "cpu.cfs_period_us", "", number(period))
			set("cpu", "cpu.cfs_quota_us", "", quota)
		}
	}
	return errors.Join(errs...)
}

func (g *cgroup) v2() bool { _, ok := g.dirs[unified]; return ok }

func (g *cgroup) path(controller, v1, v2 string) string {
	if dir, ok := g.dirs[unified]; ok {
		return filepath.Join(dir, v2)
	}
	return filepath.Join(g.dirs[controller], v1)
}

func (g *cgroup) write(controller, v1, v2, value string) error {
	return os.WriteFile(g.path(controller, v1, v2), []byte(value), 0)
}

// number reads a file's number, or that of a line "key number"; 0 if there is none.
func (g *cgroup) number(controller, v1, v2, key string) int64 {
	b, err := os.ReadFile(g.path(controller, v1, v2))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(b)) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if key == "" {
			name, value, ok = "", name, true
		}
		if n, err := strconv.ParseInt(value, 10, 64); ok && name == key && err == nil {
			return n
		}
	}
	return 0
}

// usage is what the machine has used, and which limits it has hit, by the kernel's own count.
func (g *cgroup) usage() Usage {
	u := Usage{
		OOMKills: g.number("memory", "memory.oom_control", "memory.events", "oom_kill"),
		PIDsHit:  g.number("pids", "pids.events", "pids.events", "max"),
		PIDs:     g.number("pids", "pids.current", "pids.current", ""),
		Peak:     g.number("memory", "memory.max_usage_in_bytes", "memory.peak", ""),
	}
	if g.v2() {
		u.User = time.Duration(g.number("", "", "cpu.stat", "user_usec")) * time.Microsecond
		u.System = time.Duration(g.number("", "", "cpu.stat", "system_usec")) * time.Microsecond
		u.CPU = time.Duration(g.number("", "", "cpu.stat", "usage_usec")) * time.Microsecond
		u.Held = g.number("", "", "memory.stat", "anon") + g.number("", "", "memory.stat", "shmem") + g.number("", "", "memory.stat", "kernel")
		return u
	}
	u.User = time.Duration(g.number("cpuacct", "cpuacct.usage_user", "", ""))
	u.System = time.Duration(g.number("cpuacct", "cpuacct.usage_sys", "", ""))
	u.CPU = time.Duration(g.number("cpuacct", "cpuacct.usage", "", ""))
	u.Held = g.number("memory", "memory.stat", "", "rss") + g.number("memory", "memory.stat", "", "shmem") + g.number("memory", "memory.kmem.usage_in_bytes", "", "")
	return u
}

// procs are the processes in the group.
func (g *cgroup) procs() []int {
	b, _ := os.ReadFile(g.path("pids", "cgroup.procs", "cgroup.procs"))
	var pids []int
	for word := range strings.FieldsSeq(string(b)) {
		if pid, err := strconv.Atoi(word); err == nil && pid > 1 {
			pids = append(pids, pid)
		}
	}
	return pids
}

// killTimeout bounds the wait for a machine's processes to die.
const killTimeout = 10 * time.Second

// kill ends all of the machine's processes and returns when they are gone.
func (g *cgroup) kill() error {
	for deadline, pause := time.Now().Add(killTimeout), 100*time.Microsecond; ; pause = min(2*pause, 10*time.Millisecond) {
		pids := g.procs()
		if len(pids) == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill machine: processes %d do not die", pids)
		}
		g.killNow(pids)
		time.Sleep(pause)
	}
}

func (g *cgroup) killNow(pids []int) {
	if g.v2() && g.write("", "", "cgroup.kill", "1") == nil {
		return
	}
	for _, pid := range pids {
		_ = unix.Kill(pid, unix.SIGKILL)
	}
}

// remove takes the folders away, and those that a runtime made beside them in other hierarchies.
func (g *cgroup) remove() error {
	var errs []error
	remove := func(dir string) {
		// A group is busy for a moment after its last process has gone.
		var err error
		for range 100 {
			if err = unix.Rmdir(dir); err != unix.EBUSY {
				break
			}
			time.Sleep(time.Millisecond)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("remove cgroup %s: %w", dir, err))
		}
	}
	for _, dir := range g.dirs {
		remove(dir)
	}
	if !g.v2() {
		for _, parent := range g.parents.v1 {
			remove(filepath.Join(parent, g.name))
		}
		if g.parents.hybrid != "" {
			remove(filepath.Join(g.parents.hybrid, g.name))
		}
	}
	return errors.Join(errs...)
}
