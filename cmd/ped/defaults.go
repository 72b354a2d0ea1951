package main

import (
	"os"
	"runtime"
	"strings"

	"github.com/program-explorer/pe/executor/host"
)

// defaultSlots leaves one processor to gateway, store and the host.
func defaultSlots() int { return max(1, runtime.NumCPU()-1) }

// defaultPool is an eighth of the memory, in whole 64 MiB.
func defaultPool() int64 { return host.MemoryBytes() / 8 >> 26 << 26 }

// hostID makes an executor's id of the host's name; "executor" where that leaves nothing.
func hostID() string {
	name, _ := os.Hostname()
	name, _, _ = strings.Cut(strings.ToLower(name), ".")
	name = strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' {
			return r
		}
		return '-'
	}, name)
	if name = strings.Trim(name, "-"); len(name) > 40 {
		name = name[:40]
	}
	if name == "" {
		return "executor"
	}
	return name
}
