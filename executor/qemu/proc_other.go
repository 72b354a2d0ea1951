//go:build unix && !linux

package qemu

import (
	"errors"
	"os/exec"
	"strconv"
	"strings"
)

// startOf identifies a process beyond its id: when it started, in ps's words.
func startOf(pid int) (string, error) { return ps(pid, "lstart=") }

// argsOf returns a process's arguments, joined by blanks.
func argsOf(pid int) (string, error) { return ps(pid, "args=") }

func ps(pid int, field string) (string, error) {
	out, err := exec.Command("ps", "-ww", "-o", field, "-p", strconv.Itoa(pid)).Output()
	s := strings.TrimSpace(string(out))
	if err == nil && s == "" {
		err = errors.New("no such process")
	}
	return s, err
}
