// Package host reads facts about the machine that an executor runs on. A fact
// that can't be read is empty, never an error: facts inform, they decide nothing.
package host

import (
	"bufio"
	"os"
	"strconv"
	"strings"
)

// CPUModel is the processor's name as the kernel has it.
func CPUModel() string {
	for _, field := range []string{"model name", "uarch", "Model", "isa"} {
		if v := procField("/proc/cpuinfo", field); v != "" {
			return v
		}
	}
	return ""
}

// MemoryBytes is the machine's memory.
func MemoryBytes() int64 {
	kb, _, _ := strings.Cut(procField("/proc/meminfo", "MemTotal"), " ")
	n, err := strconv.ParseInt(kb, 10, 64)
	if err != nil {
		return 0
	}
	return n << 10
}

// procField returns the value of the first "name: value" line.
func procField(path, name string) string {
	file, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		key, value, ok := strings.Cut(lines.Text(), ":")
		if ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
