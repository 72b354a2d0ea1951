package qemu

import (
	"os"
	"syscall"
)

// groupOf is the group of a device, unless it is root's.
func groupOf(path string) (uint32, bool) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, false
	}
	s, ok := info.Sys().(*syscall.Stat_t)
	return s.Gid, ok && s.Gid != 0
}
