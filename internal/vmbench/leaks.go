package vmbench

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Leaked is what is there and was not before.
type Leaked struct {
	Processes int `json:"processes"` // children of this process, also dead ones
	FDs       int `json:"fds"`       // descriptors of this process
	Files     int `json:"files"`     // in the folders for machines
}

func (l Leaked) less(before Leaked) Leaked {
	return Leaked{l.Processes - before.Processes, l.FDs - before.FDs, l.Files - before.Files}
}

// Any says whether something was left.
func (l Leaked) Any() bool { return l.Processes > 0 || l.FDs > 0 || l.Files > 0 }

// count counts what there is now.
func (b *bench) count() Leaked {
	var l Leaked
	l.Processes = children()
	if entries, err := os.ReadDir("/proc/self/fd"); err == nil {
		l.FDs = len(entries)
	}
	for _, dir := range b.Watch {
		_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				l.Files++
			}
			return nil
		})
	}
	return l
}

// children counts the processes whose parent we are.
func children() int {
	n := 0
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		// The name, in parentheses, may hold anything.
		_, rest, _ := strings.Cut(string(text[strings.LastIndexByte(string(text), ')')+1:]), " ")
		var state string
		var parent int
		if _, err := fmt.Sscan(rest, &state, &parent); err == nil && parent == os.Getpid() {
			n++
		}
	}
	return n
}
