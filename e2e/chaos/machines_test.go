package chaos

import (
	"os"
	"strings"
	"syscall"

	"github.com/program-explorer/pe/schemas"
)

// way is how an executor runs jobs in real machines.
type way struct {
	isolation string
	flags     []string
	// disk is the size of its data folder's, in bytes.
	disk int64
}

// struck is the component that its machines are in the table: a sandbox and a
// QEMU are machines, a container is its guest's init. A guest's init within a QEMU
// is out of reach from here: killing that is for the tests of executor/vm.
func (w way) struck() string {
	if w.isolation == schemas.IsolationContainer {
		return ofGuest
	}
	return ofMachine
}

// processes of the machines of all such executors of this run. Their parents are not
// always their executors: a daemon's child becomes that of the test.
func (w way) processes() (pids []int) {
	for _, p := range descendants(os.Getpid()) {
		if w.owns(p) {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

func (w way) owns(p proc) bool {
	switch w.isolation {
	case schemas.IsolationVM:
		return isQEMU(p)
	case schemas.IsolationGVisor:
		return strings.HasPrefix(command(p.pid), "runsc-sandbox ")
	}
	return strings.HasSuffix(p.name, "guestrd")
}

func isQEMU(p proc) bool { return p.name == "pe-vm" || strings.HasPrefix(p.name, "qemu-system") }

// strikeMachines reports whether there was any to strike.
func strikeMachines(pids []int, with syscall.Signal) bool {
	for _, pid := range pids {
		_ = syscall.Kill(pid, with) // it may end right now
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
