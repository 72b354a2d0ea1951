package hosttest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Process is one as the kernel lists it.
type Process struct {
	PID, Parent int
	Name        string
	state       string
}

// over reports whether it has ended, and waits for its parent to hear of it.
func (p Process) over() bool { return p.state == "Z" || p.state == "X" }

// Descendants lists the processes below one that have not ended, parents first.
func Descendants(root int) (found []Process) {
	paths, _ := filepath.Glob("/proc/[0-9]*/stat")
	below := map[int][]Process{}
	for _, path := range paths {
		if text, err := os.ReadFile(path); err == nil { // else it has ended meanwhile
			p := parseStat(string(text))
			below[p.Parent] = append(below[p.Parent], p)
		}
	}
	for next := []int{root}; len(next) > 0; next = next[1:] {
		for _, p := range below[next[0]] {
			if !p.over() {
				found, next = append(found, p), append(next, p.PID)
			}
		}
	}
	return found
}

// Running reports whether a process has not ended.
func Running(pid int) bool {
	text, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err == nil && !parseStat(string(text)).over()
}

// parseStat reads /proc/PID/stat: PID (NAME) STATE PARENT …; a name may have blanks and parentheses.
func parseStat(stat string) (p Process) {
	from, to := strings.IndexByte(stat, '('), strings.LastIndexByte(stat, ')')
	if from < 0 || to < from {
		return p
	}
	p.PID, _ = strconv.Atoi(strings.TrimSpace(stat[:from]))
	p.Name = stat[from+1 : to]
	if f := strings.Fields(stat[to+1:]); len(f) > 1 {
		p.state = f[0]
		p.Parent, _ = strconv.Atoi(f[1])
	}
	return p
}
