package vmbench

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// filesystem names the one that a folder is on.
func filesystem(dir string) string {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return "unknown"
	}
	switch int64(s.Type) {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	}
	return fmt.Sprintf("0x%x", s.Type)
}

// howExclusive says what exclusive counts.
const howExclusive = "extents that no other file shares (FIEMAP; st_blocks where there is none), of files without other hard links"

// exclusive is how much of the disk would be free without a folder's files, in bytes.
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
		s, ok := info.Sys().(*syscall.Stat_t)
		if !ok || s.Nlink > 1 {
			continue
		}
		own, err := exclusiveFile(filepath.Join(dir, e.Name()))
		if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOTTY) {
			own, err = s.Blocks*512, nil
		}
		if err != nil {
			return 0, fmt.Errorf("extents of %s: %w", e.Name(), err)
		}
		bytes += own
	}
	return bytes, nil
}

// Of linux/fs.h and linux/fiemap.h.
const (
	fsIocFiemap   = 0xC020660B
	flagSync      = 1
	extentLast    = 0x1
	extentShared  = 0x2000
	fiemapHeader  = 32
	fiemapExtent  = 56
	extentsAtOnce = 256
)

// exclusiveFile asks for a file's extents, a few at a time.
func exclusiveFile(path string) (bytes int64, err error) {
	f, err := os.Open(path)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	buf := make([]byte, fiemapHeader+extentsAtOnce*fiemapExtent)
	for start := uint64(0); ; {
		binary.NativeEndian.PutUint64(buf[0:], start)
		binary.NativeEndian.PutUint64(buf[8:], ^uint64(0)-start)
		binary.NativeEndian.PutUint32(buf[16:], flagSync)
		binary.NativeEndian.PutUint32(buf[24:], extentsAtOnce)
		if _, _, errno := unix.Syscall(unix.SYS_IOCTL, f.Fd(), fsIocFiemap, uintptr(unsafe.Pointer(&buf[0]))); errno != 0 {
			return 0, errno
		}
		n := binary.NativeEndian.Uint32(buf[20:])
		if n == 0 {
			return bytes, nil
		}
		for i := range n {
			extent := buf[fiemapHeader+i*fiemapExtent:]
			logical, length := binary.NativeEndian.Uint64(extent), binary.NativeEndian.Uint64(extent[16:])
			flags := binary.NativeEndian.Uint32(extent[40:])
			if flags&extentShared == 0 {
				bytes += int64(length)
			}
			if flags&extentLast != 0 {
				return bytes, nil
			}
			start = logical + length
		}
	}
}
