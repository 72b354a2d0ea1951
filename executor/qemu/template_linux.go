package qemu

import (
	"os"
	"syscall"

	"github.com/program-explorer/pe/executor/qemu/sparse"
	"golang.org/x/sys/unix"
)

const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// sealedCopy copies size bytes of from into memory that can't change any more.
func sealedCopy(name string, from *os.File, size int64) (_ *os.File, written int64, err error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, 0, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), name)
	defer func() {
		if err != nil {
			_ = f.Close()
		}
	}()
	// QEMU's user opens it for writing, which the seals then make harmless.
	if err := f.Chmod(0o666); err != nil {
		return nil, 0, err
	}
	if written, err = sparse.Copy(f, from, size); err != nil {
		return nil, 0, err
	}
	if _, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals); err != nil {
		return nil, 0, os.NewSyscallError("seal memory", err)
	}
	return f, written, nil
}

// allocated is how much of a file is not holes, in bytes.
func allocated(info os.FileInfo) int64 {
	s, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0
	}
	return s.Blocks * sector
}
