package host

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// leaf is the group that this process goes to if the manager put it nowhere better:
// what DelegateSubgroup= of the unit says, too.
const leaf = "ped"

// TakeDelegated makes the cgroups (version 2) that a service manager has delegated to
// this process fit for machines: the process is in a leaf, and what is made beside
// it has the controllers cpu, memory and pids. systemd leaves both to whom it
// delegates to. Where nothing is delegated, nothing is changed.
func TakeDelegated() error {
	own, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil // not Linux, or nothing that we could use
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return nil
	}
	dir := unifiedGroup(string(own), string(mounts))
	if dir == "" {
		return nil
	}
	if err := takeDelegated(dir, delegated); err != nil {
		return fmt.Errorf("take over delegated cgroups: %w", err)
	}
	return nil
}

// unifiedGroup is the folder of this process's group of version 2; empty for none.
func unifiedGroup(own, mounts string) string {
	for line := range strings.Lines(own) {
		path, unified := strings.CutPrefix(strings.TrimSpace(line), "0::")
		if !unified {
			continue
		}
		for mount := range strings.Lines(mounts) {
			before, after, _ := strings.Cut(mount, " - ")
			f := strings.Fields(before)
			if strings.HasPrefix(after, "cgroup2 ") && len(f) > 4 && f[3] == "/" {
				return filepath.Join(f[4], path)
			}
		}
	}
	return ""
}

func takeDelegated(dir string, delegated func(dir string) bool) error {
	group := dir
	if !delegated(group) {
		group = filepath.Dir(dir)
	}
	if !delegated(group) || !offers(group, "memory") {
		return nil // with version 1 beside it, version 2 has no controllers to give
	}
	if group == dir {
		// A group with processes of its own gives its children no controllers.
		home := filepath.Join(dir, leaf)
		if err := os.Mkdir(home, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
		if err := os.WriteFile(filepath.Join(home, "cgroup.procs"), []byte("0"), 0); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(group, "cgroup.subtree_control"), []byte("+cpu +memory +pids"), 0)
}

// offers reports whether a group may give a controller to its children.
func offers(dir, controller string) bool {
	b, err := os.ReadFile(filepath.Join(dir, "cgroup.controllers"))
	return err == nil && slices.Contains(strings.Fields(string(b)), controller)
}
