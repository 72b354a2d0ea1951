//go:build unix

package archive

import (
	"io/fs"
	"syscall"
)

const openNonblock = syscall.O_NONBLOCK

type inode struct{ device, number uint64 }

// inodeOf identifies a file; several is true when it has more than one name.
func inodeOf(st fs.FileInfo) (id inode, several bool) {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return inode{}, false
	}
	return inode{uint64(sys.Dev), uint64(sys.Ino)}, sys.Nlink > 1
}

func ownerOf(st fs.FileInfo) Owner {
	sys, ok := st.Sys().(*syscall.Stat_t)
	if !ok {
		return Owner{}
	}
	return Owner{int(sys.Uid), int(sys.Gid)}
}
