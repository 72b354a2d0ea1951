package s3test

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel kill the server when a test binary is killed
// before its clean-up could run.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
