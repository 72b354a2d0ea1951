package executor

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// spool keeps what a program writes to stdout or stderr: its head in memory, for
// the result, and, once there is more, all of it in a file, so that a late reader
// gets the whole. The guest bounds how much arrives (schemas.StdioLog).
type spool struct {
	// open makes the file. Most programs write less than a head, and need none.
	open func() (*os.File, error)
	// live hears each chunk with its offset; it must not block.
	live func(offset int64, p []byte)

	mu     sync.Mutex
	file   *os.File
	head   []byte
	size   int64
	err    error
	closed bool
}

// write appends p. An error is kept for stdio, because a program must not be
// stopped for the platform's full disk in the middle of a line.
func (s *spool) write(p []byte) {
	s.mu.Lock()
	offset := s.size
	if s.err == nil {
		s.err = s.keep(p)
	}
	s.size += int64(len(p))
	if room := schemas.StdioHead - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	s.mu.Unlock()
	s.live(offset, p)
}

// keep writes p to the file, if it is not all part of the head.
func (s *spool) keep(p []byte) (err error) {
	switch {
	case s.closed:
		return os.ErrClosed
	case s.file == nil && s.size+int64(len(p)) <= schemas.StdioHead:
		return nil
	case s.file == nil:
		if s.file, err = s.open(); err != nil {
			return err
		}
		if _, err = s.file.WriteAt(s.head, 0); err != nil {
			return err
		}
	}
	_, err = s.file.WriteAt(p, s.size)
	return err
}

// read returns up to limit bytes from offset, and how much there is so far. It
// may be called at any time; after close its error is os.ErrClosed.
func (s *spool) read(offset int64, limit int) ([]byte, int64, error) {
	s.mu.Lock()
	size, head, file, closed := s.size, s.head, s.file, s.closed
	s.mu.Unlock()
	if offset < 0 || offset >= size {
		return nil, size, nil
	}
	if closed {
		return nil, size, os.ErrClosed
	}
	p := make([]byte, min(int64(limit), size-offset))
	if file == nil {
		// What was appended to the head since lies behind what is read of it here.
		return p[:copy(p, head[min(offset, int64(len(head))):])], size, nil
	}
	n, err := file.ReadAt(p, offset)
	if err == io.EOF {
		err = nil
	}
	return p[:n], size, err
}

// stdio is the result's view. Truncated is the guest's word that it dropped some.
func (s *spool) stdio(truncated bool) (schemas.Stdio, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return schemas.Stdio{}, fmt.Errorf("keep log: %w", s.err)
	}
	head := string(s.head)
	if s.size > int64(len(head)) {
		head = wholeRunes(head)
	}
	out := schemas.Stdio{
		Text:      strings.ToValidUTF8(head, "\uFFFD"),
		Bytes:     s.size,
		Truncated: truncated || s.size > int64(len(head)),
	}
	if out.Text != head {
		out.Base64 = base64.StdEncoding.EncodeToString([]byte(head))
	}
	return out, nil
}

// whole reads the log from its beginning.
func (s *spool) whole() io.Reader {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.file == nil {
		return bytes.NewReader(s.head)
	}
	return io.NewSectionReader(s.file, 0, s.size)
}

// long reports whether the head is not all that was kept.
func (s *spool) long() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size > int64(len(s.head))
}

func (s *spool) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.file == nil {
		return nil
	}
	return s.file.Close()
}
