package vm

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/program-explorer/pe/executor/qemu"
)

// A snapshot is not to blame for a host that lacks something, and for all else it is.
func TestLacksRoom(t *testing.T) {
	t.Parallel()
	ended := func(script string) *os.ProcessState {
		cmd := exec.Command("/bin/sh", "-c", script)
		_ = cmd.Run() // it fails
		return cmd.ProcessState
	}
	for name, c := range map[string]struct {
		why  error
		want bool
	}{
		"descriptors":         {fmt.Errorf("start QEMU: %w", &os.PathError{Op: "open", Err: syscall.EMFILE}), true},
		"memory":              {&qemu.ExitError{State: ended("kill -KILL $$")}, true},
		"killed by us":        {&qemu.ExitError{Killed: context.DeadlineExceeded, State: ended("kill -KILL $$")}, false},
		"an abort":            {&qemu.ExitError{State: ended("kill -ABRT $$")}, false},
		"a state of another":  {&qemu.ExitError{State: ended("exit 1")}, false},
		"a guest that is off": {errors.New("guest hung"), false},
	} {
		if got := lacksRoom(fmt.Errorf("restore machine: %w", c.why)); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
