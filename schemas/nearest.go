package schemas

import "strings"

// otherNames are what other tools call things that have one name here.
var otherNames = map[string]string{
	"x86_64": "amd64", "x86-64": "amd64", "x64": "amd64", "aarch64": "arm64", "armv8": "arm64", "rv64": "riscv64", "riscv": "riscv64",
	"runsc": IsolationGVisor, "qemu": IsolationVM, "docker": IsolationContainer, "runc": IsolationContainer,
	"command": "args", "cmd": "args", "argv": "args", "environment": "env", "workdir": "cwd", "working_dir": "cwd", "inputs": "files",
	"timeout": "wall_ms", "timeout_ms": "wall_ms", "memory": "memory_bytes", "architecture": "arch", "platform": "arch",
}

// Nearest returns the one of allowed that somebody who wrote got may have meant,
// or "" if none is near.
func Nearest(got string, allowed []string) string { return nearest(got, allowed) }

// nearest returns the one of allowed that somebody who wrote got may have meant, or "".
func nearest(got string, allowed []string) string {
	if len(got) > 64 {
		return ""
	}
	lower := strings.ToLower(got)
	if other, ok := otherNames[lower]; ok {
		lower = other
	}
	best, distance := "", 3
	for _, a := range allowed {
		switch d := editDistance(lower, a); {
		case d == 0 || strings.HasPrefix(a, lower+"_"):
			return a
		case d < distance && d*2 < len(a):
			best, distance = a, d
		}
	}
	return best
}

// editDistance is how many bytes to insert, delete or replace to get from a to b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
