package qemu

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// newInstance makes a name that no other machine of this host has.
func newInstance() string { return strings.ToLower(rand.Text()[:20]) }

// runFile is what a running machine leaves in Config.RunDir: enough to find
// its process after our own death, and to be sure that it is still that one.
type runFile struct {
	Instance   string `json:"instance"`
	PID        int    `json:"pid"`
	Start      string `json:"start"` // tells apart processes that had the same id
	Owner      int    `json:"owner"`
	OwnerStart string `json:"owner_start"`
	Cgroup     cgroup `json:"cgroup,omitempty"`
}

// maxRunFile bounds a run file, in bytes.
const maxRunFile = 16 << 10

// sweepTimeout bounds the wait for a leftover to die.
const sweepTimeout = 5 * time.Second

func writeRunFile(dir, instance string, pid int, g cgroup) (string, error) {
	r := runFile{Instance: instance, PID: pid, Owner: os.Getpid(), Cgroup: g}
	var err error
	if r.Start, err = startOf(pid); err != nil {
		return "", fmt.Errorf("record machine: %w", err)
	}
	if r.OwnerStart, err = startOf(r.Owner); err != nil {
		return "", fmt.Errorf("record machine: %w", err)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, processName(instance)+".json")
	err = publish(path, b)
	if errors.Is(err, fs.ErrNotExist) {
		err = publish(path, b) // another executor's sweep took it for a leftover
	}
	if err != nil {
		return "", fmt.Errorf("record machine: %w", err)
	}
	return path, nil
}

// halfRunFile is what the name of a run file ends with that isn't complete.
const halfRunFile = ".tmp"

// publish renames a file into place: a sweep never sees half of one.
func publish(path string, content []byte) error {
	if err := os.WriteFile(path+halfRunFile, content, 0o600); err != nil {
		return err
	}
	return os.Rename(path+halfRunFile, path)
}

// Sweep ends the machines whose run files are in dir and whose owner is dead,
// removes those files, and returns the instances that it had to end. An executor
// calls it once at its start, before its first machine. dir belongs to us: no
// other user can write to it.
func Sweep(dir string) (ended []string, err error) {
	files, err := filepath.Glob(filepath.Join(dir, "pe-*.json"))
	if err != nil {
		return nil, fmt.Errorf("sweep machines: %w", err)
	}
	halves, err := filepath.Glob(filepath.Join(dir, "pe-*.json"+halfRunFile))
	if err != nil {
		return nil, fmt.Errorf("sweep machines: %w", err)
	}
	var errs []error
	for _, f := range halves { // no machine was let go on before its file was there
		if err := os.Remove(f); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	for _, f := range files {
		instance, err := sweepOne(f)
		if err != nil {
			errs = append(errs, fmt.Errorf("sweep machine %s: %w", filepath.Base(f), err))
		}
		if instance != "" {
			ended = append(ended, instance)
		}
	}
	return ended, errors.Join(errs...)
}

func sweepOne(path string) (ended string, err error) {
	info, err := os.Stat(path)
	if err != nil || info.Size() > maxRunFile {
		return "", errors.Join(err, os.Remove(path))
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	var r runFile
	if err := json.Unmarshal(b, &r); err != nil || r.PID <= 1 || !instPattern.MatchString(r.Instance) {
		return "", os.Remove(path) // not ours, so nothing is known to run
	}
	if start, err := startOf(r.Owner); err == nil && start == r.OwnerStart {
		return "", nil // its owner lives and looks after it
	}
	if r.runs() {
		if err := r.end(); err != nil {
			return "", err
		}
		ended = r.Instance
	}
	own := func(g string) bool { return strings.HasSuffix(g, "/"+processName(r.Instance)) }
	if err := slices.DeleteFunc(r.Cgroup, func(g string) bool { return !own(g) }).removeSoon(sweepTimeout); err != nil {
		return ended, err // the file stays, for the next sweep
	}
	// The machine's own owner may have removed it meanwhile.
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return ended, err
	}
	return ended, nil
}

// runs says whether the recorded process is there and is that machine's.
func (r runFile) runs() bool {
	start, err := startOf(r.PID)
	if err != nil || start != r.Start {
		return false
	}
	args, err := argsOf(r.PID)
	return err == nil && strings.Contains(args, "-name "+processName(r.Instance)+",")
}

func (r runFile) end() error {
	// Found before it is looked at once more: the handle can't become
	// another process's between the look and the signal.
	p, err := os.FindProcess(r.PID)
	if err != nil {
		return err
	}
	defer func() { _ = p.Release() }()
	if !r.runs() {
		return nil
	}
	if err := p.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return err
	}
	for deadline := time.Now().Add(sweepTimeout); r.runs(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d does not die", r.PID)
		}
	}
	return nil
}
