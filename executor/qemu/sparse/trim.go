package sparse

import "os"

// minHole is the shortest run of zeros that Trim makes a hole of, in bytes: shorter ones would
// cost the file system more than they give.
const minHole = 16 * page

// Trim makes holes of long runs of zeros in the first size bytes of f, where the system can. It changes
// nothing that can be read.
func Trim(f *os.File, size int64) error {
	var end int64 // of the data before
	err := Each(f, size, func(at int64, b []byte) error {
		begin := end
		end = at + int64(len(b))
		return trim(f, begin, at)
	})
	if err != nil {
		return err
	}
	return trim(f, end, size)
}

func trim(f *os.File, begin, end int64) error {
	if end-begin < minHole {
		return nil
	}
	return punch(f, begin, end-begin)
}
