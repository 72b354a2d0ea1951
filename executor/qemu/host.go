package qemu

import (
	"context"
	"fmt"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// Host is what this machine runs guests of one architecture with.
type Host struct {
	Arch    string
	Binary  string // QEMU's path
	Version string // QEMU's, such as 7.2.22
	Digest  string // sha256 of Binary, plain hex
	Verdict Verdict
	CPU     string // the host CPU's model
	// Unbounded says why cgroups do not bound QEMU from outside, "" if they do.
	Unbounded string
}

var versionPattern = regexp.MustCompile(`version (\d[\w.+~-]{0,30})`)

// FindHost finds QEMU for c.Arch and probes its accelerator.
func FindHost(ctx context.Context, c ProbeConfig) (Host, error) {
	h := Host{Arch: c.Arch, Binary: c.Binary, CPU: cpuModel()}
	var err error
	if h.Binary == "" {
		if h.Binary, err = FindBinary(c.Arch); err != nil {
			return h, err
		}
	}
	c.Binary = h.Binary
	if h.Version, err = version(ctx, h.Binary); err != nil {
		return h, err
	}
	if h.Digest, err = fileDigest(h.Binary); err != nil {
		return h, err
	}
	if h.Verdict, err = Probe(ctx, c); err != nil {
		return h, err
	}
	if _, err := FindCgroups(); err != nil {
		h.Unbounded = err.Error()
	}
	return h, nil
}

func version(ctx context.Context, binary string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "--version").Output()
	if err != nil {
		return "", fmt.Errorf("ask %s for its version: %w", binary, err)
	}
	m := versionPattern.FindSubmatch(out)
	if m == nil {
		return "", fmt.Errorf("ask %s for its version: it says %.100q", binary, out)
	}
	return string(m[1]), nil
}

// cpuModel is the host CPU's name; on systems that don't say, its architecture.
func cpuModel() string {
	for line := range strings.Lines(firstOf("/proc/cpuinfo")) {
		name, value, _ := strings.Cut(line, ":")
		switch strings.TrimSpace(name) {
		case "model name", "uarch":
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
