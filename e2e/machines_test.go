package e2e

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/program-explorer/pe/internal/hosttest"
)

// machines lists the virtual machines of a daemon.
func (d *daemon) machines() []int {
	var found []int
	for _, p := range hosttest.Descendants(d.pid()) {
		if p.Name == "pe-vm" || strings.HasPrefix(p.Name, "qemu-system") {
			found = append(found, p.PID)
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

// noMachines waits until a daemon has no machine: the record of a job ends
// before the last of its machine is gone.
func (d *daemon) noMachines(t *testing.T) {
	t.Helper()
	eventually(t, "no machine is left", func() bool { return len(d.machines()) == 0 })
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
