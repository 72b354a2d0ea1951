//go:build linux

package ocirun

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// controllers are what a machine needs of the host's cgroups.
var controllers = []string{"memory", "pids", "cpu", "cpuacct"}

// Cgroups is where this process may make cgroups.
type Cgroups struct {
	v2      string            // folder whose children have the controllers; "" with version 1
	v2Mount string            // where that hierarchy is mounted
	v1      map[string]string // controller → folder of our own cgroup; all controllers that are mounted
	hybrid  string            // folder of our own cgroup in version 2's hierarchy, where a runtime leaves an empty one
}

// FindCgroups finds the groups that we are in and may make children of, in either version. The error says what to change.
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
	if c.v2 != "" && !delegated(c.v2) {
		c.v2 = ""
	}
	if c.v2 == "" {
		for _, name := range controllers {
			if c.v1[name] == "" {
				return nil, fmt.Errorf("find cgroups: no %s controller for us: run as a service with Delegate=yes and DelegateSubgroup=, or as root", name)
			}
		}
	}
	trial, err := c.make(fmt.Sprintf("pe-oci-probe-%d", os.Getpid()))
	if err == nil {
		err = trial.limit(Limits{MemoryBytes: 64 << 20, PIDs: 64, CPUsMilli: 1000})
	}
	if err = errors.Join(err, trial.remove()); err != nil {
		return nil, fmt.Errorf("find cgroups: %w", err)
	}
	return c, nil
}

// Version is "v2" or "v1".
func (c *Cgroups) Version() string {
	if c.v2 != "" {
		return "v2"
	}
	return "v1"
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
	c := &Cgroups{v1: map[string]string{}}
	for line := range strings.Lines(mounts) {
		before, after, _ := strings.Cut(line, " - ")
		f, g := strings.Fields(before), strings.Fields(after)
		if len(f) < 5 || len(g) < 3 {
			continue
		}
		// Inside a container the mount shows a part of the hierarchy only.
		within := func(name string) string {
			rel, ok := strings.CutPrefix(paths[name], strings.TrimSuffix(f[3], "/"))
			if _, member := paths[name]; !member || !ok {
				return ""
			}
			return filepath.Join(f[4], rel)
		}
		switch g[0] {
		case "cgroup2":
			// Machines are siblings of our own group: processes live in leaves only.
			dir := within("")
			if dir != "" && dir != f[4] {
				c.v2, c.v2Mount = filepath.Dir(dir), f[4]
			}
			c.hybrid = dir
		case "cgroup":
			for name := range strings.SplitSeq(g[2], ",") {
				if dir := within(name); dir != "" {
					c.v1[name] = dir
				}
			}
		}
	}
	return c
}

func delegated(dir string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.subtree_control"))
	have := " " + strings.TrimSpace(string(b)) + " "
	for _, name := range []string{"memory", "pids", "cpu"} {
		if !strings.Contains(have, " "+name+" ") {
			return false
		}
	}
	return err == nil
}

// group is a machine's group, which need not exist.
func (c *Cgroups) group(name string) *cgroup {
	g := &cgroup{name: name, parents: c, dirs: map[string]string{}}
	if c.v2 != "" {
		g.dirs[unified] = filepath.Join(c.v2, name)
		return g
	}
	for _, controller := range controllers {
		g.dirs[controller] = filepath.Join(c.v1[controller], name)
	}
	return g
}

// make makes it.
func (c *Cgroups) make(name string) (*cgroup, error) {
	g := c.group(name)
	made := map[string]bool{}
	for _, dir := range g.dirs {
		real, err := filepath.EvalSymlinks(filepath.Dir(dir))
		if err != nil || made[real] { // controllers may share a hierarchy
			continue
		}
		made[real] = true
		if err := os.Mkdir(dir, 0o755); err != nil {
			return g, fmt.Errorf("make cgroup: %w", err)
		}
	}
	return g, nil
}
