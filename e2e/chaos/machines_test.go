package chaos

import (
	"os"
	"strings"
	"syscall"
)

// machines are the QEMUs and gVisor sandboxes of this run. Their parents are not
// always their executors: a daemon's child becomes that of the test.
func machines() (pids []int) {
	for _, p := range descendants(os.Getpid()) {
		if p.name == "pe-vm" || strings.HasPrefix(p.name, "qemu-system") || strings.HasPrefix(command(p.pid), "runsc-sandbox ") {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// guests are the guests' inits that are processes of this host: those of containers.
func guests() (pids []int) {
	for _, p := range descendants(os.Getpid()) {
		if strings.HasSuffix(p.name, "guestrd") {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

// killAll reports whether there was anything to kill.
func killAll(pids []int) bool {
	for _, pid := range pids {
		_ = syscall.Kill(pid, syscall.SIGKILL) // it may end right now
	}
	return len(pids) > 0
}

// mountsBelow lists what is mounted in a folder, or is a file of it that is mounted elsewhere.
func mountsBelow(dir string) (found []string) {
	text, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return []string{err.Error()}
	}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) > 1 && (strings.HasPrefix(f[1], dir+"/") || strings.HasPrefix(f[0], dir+"/")) {
			found = append(found, f[1])
		}
	}
	return found
}
