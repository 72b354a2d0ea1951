package sparse

import (
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
