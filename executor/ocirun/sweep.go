//go:build linux

package ocirun

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// record is what lies in a machine's folder so that it can be taken away after its owner's death.
type record struct {
	Instance   string `json:"instance"`
	Owner      int    `json:"owner"`
	OwnerStart string `json:"owner_start"` // tells apart processes that had the same id
	// Groups are its cgroup's folders: the next executor may live in another cgroup than the last.
	Groups map[string]string `json:"groups,omitempty"`
}

const (
	recordFile = "owner.json"
	maxRecord  = 4 << 10 // bytes
)

func writeRecord(dir, instance string, groups map[string]string) error {
	start, err := startOf(os.Getpid())
	if err != nil {
		return fmt.Errorf("record machine: %w", err)
	}
	b, err := json.Marshal(record{instance, os.Getpid(), start, groups})
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, recordFile), b, 0o600); err != nil {
		return fmt.Errorf("record machine: %w", err)
	}
	return nil
}

// startOf is when a process began, in the kernel's own count.
func startOf(pid int) (string, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", err
	}
	// The name may hold anything; the rest comes after its last parenthesis.
	_, rest, ok := strings.Cut(string(b[strings.LastIndexByte(string(b), ')'):]), " ")
	f := strings.Fields(rest)
	if !ok || len(f) < 20 {
		return "", errors.New("read start of process: strange stat")
	}
	return f[19], nil
}

// Sweep takes away the machines below dir whose owner is dead, and the images that nobody unmounted, and
// returns the machines' names. An executor calls it at its start; dir belongs to us: no other user can write to it.
func Sweep(dir string) (swept []string, err error) {
	folders, err := filepath.Glob(filepath.Join(dir, namePrefix+"*"))
	if err != nil {
		return nil, fmt.Errorf("sweep machines: %w", err)
	}
	var errs []error
	for _, folder := range folders {
		gone, err := sweepOne(folder)
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep machine %s: %w", filepath.Base(folder), err))
		} else if gone {
			swept = append(swept, strings.TrimPrefix(filepath.Base(folder), namePrefix))
		}
	}
	return swept, errors.Join(errs...)
}

func sweepOne(dir string) (bool, error) {
	r, ok := readRecord(dir)
	if ok {
		if start, err := startOf(r.Owner); err == nil && start == r.OwnerStart {
			return false, nil // its owner lives and looks after it
		}
	}
	return true, takeAway(dir, r.group(filepath.Base(dir)))
}

// readRecord returns nothing for a folder whose owner died before it wrote one: then nothing of it runs.
func readRecord(dir string) (r record, ok bool) {
	path := filepath.Join(dir, recordFile)
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxRecord {
		return r, false
	}
	b, err := os.ReadFile(path)
	return r, err == nil && json.Unmarshal(b, &r) == nil
}

// group is the machine's group, of those folders that can only be its own.
func (r record) group(name string) *cgroup {
	g := &cgroup{name: name, parents: &Cgroups{v1: map[string]string{}}, dirs: map[string]string{}}
	for controller, dir := range r.Groups {
		if filepath.Base(dir) == name && filepath.IsAbs(dir) {
			g.dirs[controller] = dir
		}
	}
	if len(g.dirs) == 0 {
		return nil
	}
	if c, err := FindCgroups(); err == nil {
		g.parents = c // for what a runtime made in hierarchies that are not ours
	}
	return g
}
