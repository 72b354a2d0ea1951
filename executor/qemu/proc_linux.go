package qemu

import (
	"bytes"
	"fmt"
	"os"
	"strings"
)

// startOf identifies a process beyond its id: when it started, in ticks since
// the host's boot.
func startOf(pid int) (string, error) {
	f, err := statFields(pid)
	if err != nil {
		return "", err
	}
	return f[19], nil
}

// argsOf returns a process's arguments, joined by blanks. A zombie has none.
func argsOf(pid int) (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return "", err
	}
	return string(bytes.ReplaceAll(b, []byte{0}, []byte{' '})), nil
}

// statFields are those of /proc/PID/stat from the third on: the second, the
// process's own name for itself, may hold anything.
func statFields(pid int) ([]string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return nil, err
	}
	f := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(f) < 20 {
		return nil, fmt.Errorf("read /proc/%d/stat: %d fields", pid, len(f))
	}
	return f, nil
}
