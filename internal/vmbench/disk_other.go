//go:build !linux

package vmbench

import (
	"os"
	"syscall"
)

func filesystem(string) string { return "unknown" }

// howExclusive says what exclusive counts.
const howExclusive = "blocks (st_blocks) of files without other hard links"

// exclusive is how much of the disk a folder's files take, in bytes.
func exclusive(dir string) (bytes int64, err error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, e := range entries {
		info, err := e.Info()
		if err != nil {
			return 0, err
		}
		if s, ok := info.Sys().(*syscall.Stat_t); ok && s.Nlink == 1 {
			bytes += s.Blocks * 512
		}
	}
	return bytes, nil
}
