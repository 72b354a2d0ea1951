package job

import (
	"slices"

	"golang.org/x/sys/unix"
)

// hasNone says whether there is surely nothing in a folder of the job's root: then nobody needs to be
// asked to pack it. Nothing of the job runs any more, so it stays that way.
func (p *process) hasNone(folder string) bool {
	fd, err := unix.Openat(p.root, folder, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		// The job may have taken it away, or put a link or a file in its place.
		return slices.Contains([]error{unix.ENOENT, unix.ENOTDIR, unix.ELOOP}, err)
	}
	defer closeFD(fd)
	buf := make([]byte, 4096)
	for {
		n, err := unix.ReadDirent(fd, buf)
		if err != nil {
			return false
		}
		if n == 0 {
			return true
		}
		if _, entries, _ := unix.ParseDirent(buf[:n], 1, nil); entries > 0 {
			return false
		}
	}
}
