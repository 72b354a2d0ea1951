package qemu

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A machine's process may use more than its guest's memory and CPUs: QEMU's own
// code and buffers, and the threads that serve its devices.
const (
	memoryOverhead = 256 << 20 // bytes, besides the guest's RAM and the translation buffer
	cpuOverhead    = 50        // percent of one CPU
	cpuPeriod      = 100_000   // microseconds
)

// Cgroups is where the host lets us bound processes from outside. The zero
// value bounds nothing.
type Cgroups struct {
	v2          string // folder whose children have the memory and cpu controllers
	memory, cpu string // the same for version 1, each in its own hierarchy
}

// cgroup is the folders of one machine.
type cgroup []string

// FindCgroups finds the groups that we are in and may make children of. The
// error says why the host's bound is not enforced; machines run all the same.
func FindCgroups() (*Cgroups, error) {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	c := parseCgroups(string(own), string(mounts))
	if c.v2 != "" && !hasControllers(c.v2) {
		c.v2 = ""
	}
	if c.v2 == "" && (c.memory == "" || c.cpu == "") {
		return nil, errors.New("find cgroups: no memory and cpu controllers for us: run as a service with Delegate=yes and DelegateSubgroup=, or as root")
	}
	c.forgetTrials()
	trial := c.folders(trialName + strconv.Itoa(os.Getpid()))
	err = trial.make()
	trial.remove()
	if err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	return c, nil
}

// parseCgroups reads /proc/self/cgroup (id:controllers:path) and mountinfo.
func parseCgroups(own, mounts string) *Cgroups {
	paths := map[string]string{}
	for line := range strings.Lines(own) {
		if f := strings.SplitN(strings.TrimSpace(line), ":", 3); len(f) == 3 {
			for name := range strings.SplitSeq(f[1], ",") {
				paths[name] = f[2] // version 2 has no name
			}
		}
	}
	c := &Cgroups{}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(g) < 3 {
			continue
		}
		join := func(name string) string {
			// Inside a container the mount shows a part of the hierarchy only.
			rel, ok := strings.CutPrefix(paths[name], strings.TrimSuffix(f[3], "/"))
			if _, member := paths[name]; !member || !ok {
				return ""
			}
			return filepath.Join(f[4], rel)
		}
		options := "," + g[2] + ","
		switch {
		case g[0] == "cgroup2":
			// The machines' groups are siblings of our own: version 2 wants
			// processes in the leaves only.
			if own := join(""); own != "" && own != f[4] {
				c.v2 = filepath.Dir(own)
			}
		case g[0] == "cgroup" && strings.Contains(options, ",memory,"):
			c.memory = join("memory")
		case g[0] == "cgroup" && strings.Contains(options, ",cpu,"):
			c.cpu = join("cpu")
		}
	}
	return c
}

func hasControllers(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	f := " " + strings.TrimSpace(string(b)) + " "
	return err == nil && strings.Contains(f, " memory ") && strings.Contains(f, " cpu ")
}

// trialName is what groups begin with that show that groups can be made.
const trialName = "pe-probe-"

// forgetTrials removes those of processes that were killed in the middle of theirs. In a
// container one of them may have had our own number.
func (c *Cgroups) forgetTrials() {
	for _, parent := range c.parents() {
		left, _ := filepath.Glob(filepath.Join(parent, trialName+"*"))
		cgroup(left).remove()
	}
}

// folders of a machine, made or not.
func (c *Cgroups) folders(name string) (g cgroup) {
	for _, parent := range c.parents() {
		g = append(g, filepath.Join(parent, name))
	}
	return g
}

func (g cgroup) make() error {
	for _, dir := range g {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
	}
	return nil
}

func (c *Cgroups) parents() []string {
	if c.v2 != "" {
		return []string{c.v2}
	}
	return []string{c.memory, c.cpu}
}

// bound makes the groups and puts the process, and so all of the machine, into them.
func (c *Cgroups) bound(g cgroup, m Config, pid int) error {
	err := g.make()
	if err == nil {
		err = c.limit(g, m, pid)
	}
	if err != nil {
		return fmt.Errorf("bound machine: %w", err)
	}
	return nil
}

func (c *Cgroups) limit(g cgroup, m Config, pid int) error {
	bytes := m.Memory + tcgBuffer<<20 + memoryOverhead
	if m.template != nil {
		// What a restored machine touches first is charged to it twice: see Template.Grown.
		bytes += m.Memory
	}
	memory := strconv.FormatInt(bytes, 10)
	quota := strconv.Itoa((100*m.CPUs + cpuOverhead) * cpuPeriod / 100)
	set := func(dir, file, value string) error {
		return os.WriteFile(filepath.Join(dir, file), []byte(value), 0)
	}
	var errs []error
	if c.v2 != "" {
		errs = append(errs, set(g[0], "memory.max", memory), set(g[0], "cpu.max", quota+" "+strconv.Itoa(cpuPeriod)))
	} else {
		errs = append(errs, set(g[0], "memory.limit_in_bytes", memory),
			set(g[1], "cpu.cfs_period_us", strconv.Itoa(cpuPeriod)), set(g[1], "cpu.cfs_quota_us", quota))
	}
	for _, dir := range g {
		errs = append(errs, set(dir, "cgroup.procs", strconv.Itoa(pid)))
	}
	return errors.Join(errs...)
}

// remove takes the groups away, once their process is gone.
func (g cgroup) remove() {
	for _, dir := range g {
		_ = os.Remove(dir)
	}
}

// removeSoon does so for a process that may still be ending: killed, its memory
// is taken down before it leaves its groups.
func (g cgroup) removeSoon(patience time.Duration) error {
	var errs []error
	deadline := time.Now().Add(patience)
	for _, dir := range g {
		err := os.Remove(dir)
		for ; errors.Is(err, syscall.EBUSY) && time.Now().Before(deadline); err = os.Remove(dir) {
			time.Sleep(5 * time.Millisecond)
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
