//go:build !unix

package archive

import "io/fs"

const openNonblock = 0

type inode struct{ device, number uint64 }

func inodeOf(fs.FileInfo) (inode, bool) { return inode{}, false }

func ownerOf(fs.FileInfo) Owner { return Owner{} }
