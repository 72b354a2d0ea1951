package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// process is one as the kernel lists it.
type process struct {
	pid, parent int
	name        string
	state       string
}

// descendants lists the processes below one that have not ended.
func descendants(root int) []process {
	var all []process
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil { // else it has ended meanwhile
			all = append(all, parseStat(string(text)))
		}
	}
	var found []process
	for parents := []int{root}; len(parents) > 0; {
		var next []int
		for _, p := range all {
			if slices.Contains(parents, p.parent) && p.state != "Z" && p.state != "X" {
				found, next = append(found, p), append(next, p.pid)
			}
		}
		parents = next
	}
	return found
}

func parseStat(stat string) process {
	var p process
	open, end := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if open < 0 || end < open {
		return p
	}
	p.pid, _ = strconv.Atoi(strings.TrimSpace(stat[:open]))
	p.name = stat[open+1 : end]
	if f := strings.Fields(stat[end+1:]); len(f) > 1 {
		p.state = f[0]
		p.parent, _ = strconv.Atoi(f[1])
	}
	return p
}

// machines lists the virtual machines of a daemon.
func (d *daemon) machines() []int {
	var found []int
	for _, p := range descendants(d.pid()) {
		if p.name == "pe-vm" || strings.HasPrefix(p.name, "qemu-system") {
			found = append(found, p.pid)
		}
	}
	return found
}

// killMachines ends those that run as a crash of QEMU would.
func (d *daemon) killMachines(t *testing.T) {
	t.Helper()
	found := d.machines()
	if len(found) == 0 {
		t.Fatal("no machine runs")
	}
	for _, pid := range found {
		if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
			t.Error(err)
		}
	}
}

// running reports whether a process has not ended.
func running(pid int) bool {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && parseStat(string(text)).state != "Z"
}

// noMachines waits until a daemon has no machine: the record of a job ends
// before the last of its machine is gone.
func (d *daemon) noMachines(t *testing.T) {
	t.Helper()
	eventually(t, "no machine is left", func() bool { return len(d.machines()) == 0 })
}

// mountsBelow lists what is mounted in a folder.
func mountsBelow(dir string) ([]string, error) {
	text, err := os.ReadFile("/proc/self/mounts")
	var found []string
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && strings.HasPrefix(f[1], dir+"/") {
			found = append(found, f[1])
		}
	}
	return found, err
}

// groups lists the control groups of machines on this host, other people's among them.
func groups() []string {
	var found []string
	filepath.WalkDir("/sys/fs/cgroup", func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() && ofMachine.MatchString(d.Name()) {
			found = append(found, path)
		}
		return nil
	})
	return found
}

// ofMachine matches the group of a job's machine, of one that waits, or of one that is baked.
var ofMachine = regexp.MustCompile(`^pe-(j|pool-|bake-)`)

// leftGroups is an error that names each empty group that is there now, and was not before.
func leftGroups(before []string) error {
	var errs []error
	for _, path := range groups() {
		if procs, err := os.ReadFile(filepath.Join(path, "cgroup.procs")); err == nil && len(procs) == 0 && !slices.Contains(before, path) {
			errs = append(errs, fmt.Errorf("left behind: %s", path))
		}
	}
	return errors.Join(errs...)
}
