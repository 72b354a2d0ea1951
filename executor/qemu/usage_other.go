//go:build unix && !linux

package qemu

import (
	"fmt"
	"os"
	"strconv"
	"syscall"
	"time"
)

// cpuOf is not known before the end.
func cpuOf(int) (time.Duration, error) { return 0, nil }

// usageOf knows memory only; the CPU time comes with the end.
func usageOf(pid int) (Usage, error) {
	s, err := ps(pid, "rss=")
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	return Usage{RSS: n << 10, PeakRSS: n << 10}, nil
}

func finalUsage(s *os.ProcessState) Usage {
	u := Usage{CPU: s.UserTime() + s.SystemTime()}
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		u.PeakRSS = r.Maxrss // macOS counts bytes
	}
	return u
}
