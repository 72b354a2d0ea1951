package sparse

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// data returns where the next data at or after at begins and ends.
func data(f *os.File, at, size int64) (begin, end int64) {
	begin, err := unix.Seek(int(f.Fd()), at, unix.SEEK_DATA)
	switch {
	case err == unix.ENXIO || err == nil && begin >= size:
		return size, size // a hole up to the end
	case err != nil:
		return at, size // a file system that does not know
	}
	end, err = unix.Seek(int(f.Fd()), begin, unix.SEEK_HOLE)
	if err != nil || end > size {
		end = size
	}
	return begin, end
}

// punch makes a hole.
func punch(f *os.File, at, size int64) error {
	err := unix.Fallocate(int(f.Fd()), unix.FALLOC_FL_PUNCH_HOLE|unix.FALLOC_FL_KEEP_SIZE, at, size)
	if errors.Is(err, unix.EOPNOTSUPP) {
		return nil
	}
	return os.NewSyscallError("punch hole", err)
}
