package chaos

import (
	"os"
	"strings"
	"syscall"

	"github.com/program-explorer/pe/internal/hosttest"
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
	for _, p := range hosttest.Descendants(os.Getpid()) {
		if w.owns(p) {
			pids = append(pids, p.PID)
		}
	}
	return pids
}

func (w way) owns(p hosttest.Process) bool {
	switch w.isolation {
	case schemas.IsolationVM:
		return isQEMU(p)
	case schemas.IsolationGVisor:
		return strings.HasPrefix(command(p.PID), "runsc-sandbox ")
	}
	return strings.HasSuffix(p.Name, "guestrd")
}

func isQEMU(p hosttest.Process) bool {
	return p.Name == "pe-vm" || strings.HasPrefix(p.Name, "qemu-system")
}

// strikeMachines reports whether there was any to strike.
func strikeMachines(pids []int, with syscall.Signal) bool {
	for _, pid := range pids {
		_ = syscall.Kill(pid, with) // it may end right now
	}
	return len(pids) > 0
}
