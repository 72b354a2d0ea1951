package qemu

import (
	"math"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepOwn marks all descriptors of this process to be closed in the programs that it starts. Those that it has
// opened are so already; what the process that started ours left open by mistake is not, and is none of QEMU's business.
func keepOwn() {
	if unix.CloseRange(firstFD, math.MaxInt32, unix.CLOSE_RANGE_CLOEXEC) == nil {
		return
	}
	// A kernel before 5.11.
	open, _ := os.ReadDir("/proc/self/fd")
	for _, e := range open {
		if fd, err := strconv.Atoi(e.Name()); err == nil && fd >= firstFD {
			unix.CloseOnExec(fd)
		}
	}
}
