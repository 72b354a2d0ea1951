package producer

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxEvent bounds one event of a stream, in bytes.
const maxEvent = 4 << 20

// A message is one server-sent event.
type message struct {
	event string
	id    string
	data  []byte
}

// sseReader takes a stream of server-sent events apart, as the HTML standard
// defines them. What the stream breaks off in the middle of is dropped.
type sseReader struct {
	r *bufio.Reader
	// id is that of the last whole event, or of a block with nothing but an id.
	id string
}

func newSSEReader(r io.Reader) *sseReader { return &sseReader{r: bufio.NewReaderSize(r, 64<<10)} }

// next returns the next message; alive is called for each line, comments too.
func (s *sseReader) next(alive func()) (message, error) {
	m, id := message{}, s.id
	size, data := 0, [][]byte(nil)
	for {
		line, err := s.line()
		if err != nil {
			return message{}, err
		}
		alive()
		if size += len(line); size > maxEvent {
			return message{}, fmt.Errorf("event of more than %d bytes", maxEvent)
		}
		if len(line) == 0 {
			s.id = id
			if data == nil {
				m, size = message{}, 0
				continue
			}
			m.id, m.data = s.id, bytes.Join(data, []byte("\n"))
			return m, nil
		}
		name, value, _ := strings.Cut(string(line), ":")
		value = strings.TrimPrefix(value, " ")
		switch name {
		case "event":
			m.event = value
		case "data":
			data = append(data, []byte(value))
		case "id":
			if !strings.ContainsRune(value, 0) {
				id = value
			}
		}
	}
}

// line returns a line without its end.
func (s *sseReader) line() ([]byte, error) {
	var line []byte
	for {
		part, err := s.r.ReadSlice('\n')
		line = append(line, part...)
		if err == nil {
			return bytes.TrimSuffix(line[:len(line)-1], []byte("\r")), nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, err
		}
		if len(line) > maxEvent {
			return nil, fmt.Errorf("line of more than %d bytes", maxEvent)
		}
	}
}
