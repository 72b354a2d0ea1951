package main

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strings"
)

// facts are lines about the machine and what was measured.
func facts(ctx context.Context, m measurements) []string {
	lines := []string{
		fmt.Sprintf("cpu: %s, %d cores", cpuModel(), runtime.NumCPU()),
		"load: " + load(),
		"kernel: " + output(ctx, "uname", "-r"),
		"commit: " + output(ctx, "git", "describe", "--always", "--dirty"),
		"qemu: " + output(ctx, "qemu-system-x86_64", "--version"),
		"podman: " + output(ctx, "podman", "--version"),
		"runc: " + output(ctx, "runc", "--version"),
	}
	var keys []string
	for k := range m.facts {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	for _, k := range keys {
		lines = append(lines, k+": "+m.facts[k])
	}
	return lines
}

// output is the first line that a program prints, or why there is none.
func output(ctx context.Context, name string, args ...string) string {
	out, err := program(ctx, name, args...).Output()
	if err != nil {
		return "(" + err.Error() + ")"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// load is what the kernel says of the last minutes; the measurements themselves are in it.
func load() string {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return "unknown"
	}
	return strings.TrimSpace(string(text))
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err == nil {
		for line := range strings.Lines(string(text)) {
			if name, value, _ := strings.Cut(line, ":"); strings.TrimSpace(name) == "model name" {
				return strings.TrimSpace(value)
			}
		}
	}
	return runtime.GOARCH
}
