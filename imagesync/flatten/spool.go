package flatten

import (
	"io"
	"os"
)

// FileSpool is a [Spool] in a file that has no name any more, so that it is gone
// whatever happens to the process.
type FileSpool struct {
	file *os.File
	buf  []byte
	used int   // bytes of buf that wait to be written
	size int64 // bytes in the file
}

// NewFileSpool makes a spool in dir.
func NewFileSpool(dir string) (*FileSpool, error) {
	file, err := os.CreateTemp(dir, "spool-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(file.Name()); err != nil {
		file.Close()
		return nil, err
	}
	return &FileSpool{file: file, buf: make([]byte, 256<<10)}, nil
}

// Append implements [Spool]. Data is gathered, because most files are small.
func (s *FileSpool) Append(r io.Reader) (offset, size int64, err error) {
	offset = s.size + int64(s.used)
	for {
		if s.used == len(s.buf) {
			if err := s.Flush(); err != nil {
				return 0, 0, err
			}
		}
		n, err := r.Read(s.buf[s.used:])
		s.used += n
		size += int64(n)
		if err == io.EOF {
			return offset, size, nil
		}
		if err != nil {
			return 0, 0, err
		}
	}
}

// Flush makes all that was appended readable. Call it before reading.
func (s *FileSpool) Flush() error {
	n, err := s.file.Write(s.buf[:s.used])
	s.size += int64(n)
	s.used = 0
	return err
}

// ReadAt implements [io.ReaderAt].
func (s *FileSpool) ReadAt(p []byte, offset int64) (int, error) { return s.file.ReadAt(p, offset) }

// Close frees the disk space.
func (s *FileSpool) Close() error { return s.file.Close() }
