package executor

import (
	"encoding/base64"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"github.com/program-explorer/pe/schemas"
)

// spool keeps what a program writes to stdout or stderr: in a file, so that a
// late reader gets all of it, and its head in memory, for the result. The
// guest bounds how much arrives (schemas.StdioLog).
type spool struct {
	file *os.File
	// live hears each chunk with its offset; it must not block.
	live func(offset int64, p []byte)

	mu   sync.Mutex
	head []byte
	size int64
	err  error
}

func newSpool(path string, live func(offset int64, p []byte)) (*spool, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("make log spool: %w", err)
	}
	return &spool{file: file, live: live}, nil
}

// write appends p. An error is kept for stdio, because a program must not be
// stopped for the platform's full disk in the middle of a line.
func (s *spool) write(p []byte) {
	s.mu.Lock()
	offset := s.size
	if s.err == nil {
		_, s.err = s.file.WriteAt(p, offset)
	}
	s.size += int64(len(p))
	if room := schemas.StdioHead - len(s.head); room > 0 {
		s.head = append(s.head, p[:min(room, len(p))]...)
	}
	s.mu.Unlock()
	s.live(offset, p)
}

// read returns up to limit bytes from offset, and how much there is so far. It
// may be called at any time; after close its error is os.ErrClosed.
func (s *spool) read(offset int64, limit int) ([]byte, int64, error) {
	s.mu.Lock()
	size := s.size
	s.mu.Unlock()
	if offset < 0 || offset >= size {
		return nil, size, nil
	}
	p := make([]byte, min(int64(limit), size-offset))
	n, err := s.file.ReadAt(p, offset)
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
	return io.NewSectionReader(s.file, 0, s.size)
}

// long reports whether the head is not all that was kept.
func (s *spool) long() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.size > int64(len(s.head))
}

func (s *spool) close() error { return s.file.Close() }
