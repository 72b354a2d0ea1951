package qemu

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// userHz is the unit of times in /proc, the same on every architecture of ours.
const userHz = 100

func cpuOf(pid int) (time.Duration, error) {
	f, err := statFields(pid)
	if err != nil {
		return 0, fmt.Errorf("read usage: %w", err)
	}
	user, err1 := strconv.ParseInt(f[11], 10, 64)
	system, err2 := strconv.ParseInt(f[12], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, fmt.Errorf("read usage: times %q and %q", f[11], f[12])
	}
	return time.Duration(user+system) * time.Second / userHz, nil
}

func usageOf(pid int) (Usage, error) {
	cpu, err := cpuOf(pid)
	if err != nil {
		return Usage{}, err
	}
	status, err := kilobytes(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return Usage{}, fmt.Errorf("read usage: %w", err)
	}
	u := Usage{CPU: cpu, PeakRSS: status["VmHWM"], RSS: status["VmRSS"]}
	// Another user's process shows this to root only.
	if smaps, err := kilobytes(fmt.Sprintf("/proc/%d/smaps_rollup", pid)); err == nil {
		u.PSS, u.Private = smaps["Pss"], smaps["Private_Dirty"]
	}
	return u, nil
}

// kilobytes reads the lines "Name: n kB" of a file, as bytes.
func kilobytes(path string) (map[string]int64, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	values := map[string]int64{}
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		if n, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64); err == nil {
			values[name] = n << 10
		}
	}
	return values, nil
}

func finalUsage(s *os.ProcessState) Usage {
	u := Usage{CPU: s.UserTime() + s.SystemTime()}
	if r, ok := s.SysUsage().(*syscall.Rusage); ok {
		u.PeakRSS = r.Maxrss << 10
	}
	return u
}
