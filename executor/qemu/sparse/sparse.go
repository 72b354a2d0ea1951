// Package sparse reads, copies and digests files that are mostly holes or zeros, such
// as the memory of a machine, at the cost of the rest.
//
// It must not know what the files are for.
package sparse

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
)

// page is the unit in which zeros are left out, in bytes: that of memory and of most
// file systems.
const page = 4096

// chunk is how much is read at once, in bytes, a multiple of page.
const chunk = 1 << 20

var zeroPage [page]byte

// Each calls each for every run of whole pages in the first size bytes of f that holds any
// byte but zero, in order, at most 1 MiB at a time. What b holds is valid during the
// call. Only the file's last page may be short. Two files with the same content give
// the same pages, whatever their holes, but perhaps in runs of other lengths.
func Each(f *os.File, size int64, each func(at int64, b []byte) error) error {
	buf := make([]byte, chunk)
	for at := int64(0); at < size; {
		begin, end := data(f, at, size)
		// Holes are whole blocks of a file system, which may be smaller than a page.
		begin, end = begin&^(page-1), min(size, (end+page-1)&^(page-1))
		for begin < end {
			b := buf[:min(chunk, end-begin)]
			if n, err := f.ReadAt(b, begin); n < len(b) {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return fmt.Errorf("read %s: %w", f.Name(), err)
			}
			if err := runs(b, begin, each); err != nil {
				return err
			}
			begin += int64(len(b))
		}
		at = end
	}
	return nil
}

// runs finds the pages in b that aren't zero.
func runs(b []byte, at int64, each func(int64, []byte) error) error {
	for i := 0; i < len(b); {
		j := i
		for j < len(b) && !zeros(b[j:min(j+page, len(b))]) {
			j = min(j+page, len(b))
		}
		if j > i {
			if err := each(at+int64(i), b[i:j]); err != nil {
				return err
			}
		}
		i = j + page // the one at j is zeros
	}
	return nil
}

func zeros(b []byte) bool { return bytes.Equal(b, zeroPage[:len(b)]) }

// Copy makes to, an empty file, the same as the first size bytes of from, and leaves
// holes for pages of zeros. It returns how many bytes it wrote.
func Copy(to, from *os.File, size int64) (written int64, err error) {
	if err := to.Truncate(size); err != nil {
		return 0, err
	}
	err = Each(from, size, func(at int64, b []byte) error {
		n, err := to.WriteAt(b, at)
		written += int64(n)
		return err
	})
	return written, err
}

// Digest returns a digest, as plain hex, of the first size bytes of f: the SHA-256 of size and, for
// each page that isn't all zeros, of its offset and content. It is not the
// SHA-256 of the content, which of a large machine's memory would take
// many seconds; it changes just as surely with any byte.
func Digest(f *os.File, size int64) (string, error) {
	h := sha256.New()
	var number [8]byte
	word := func(n int64) {
		binary.LittleEndian.PutUint64(number[:], uint64(n))
		h.Write(number[:])
	}
	word(size)
	err := Each(f, size, func(at int64, b []byte) error {
		for ; len(b) > 0; at += page {
			n := min(page, len(b))
			word(at)
			h.Write(b[:n])
			b = b[n:]
		}
		return nil
	})
	if err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
