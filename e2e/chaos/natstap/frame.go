package natstap

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/textproto"
	"strconv"
)

// Message is one that passes the tap.
type Message struct {
	// FromProgram: it goes from the tapped program to the server; else the other way.
	FromProgram bool
	Subject     string
	// Reply is where an answer is wanted.
	Reply string
	// Question is the message to whose Reply this one goes, if it passed here: the
	// other way for an answer, the same way for what the program says of a delivery.
	Question *Message
	// Header is nil for a message without.
	Header textproto.MIMEHeader
	Data   []byte
}

// maxFrame bounds what is held of one message, in bytes: NATS's own default is 1 MiB.
const maxFrame = 8 << 20

// frame is what was read off a connection: a message, or a line of the protocol.
type frame struct {
	raw     []byte
	message *Message
}

// readFrame reads the next line and, if it announces one, the message behind it.
func readFrame(r *bufio.Reader) (frame, error) {
	line, err := r.ReadBytes('\n')
	if err != nil {
		return frame{}, err
	}
	f := frame{raw: line}
	words := bytes.Fields(line)
	if len(words) == 0 {
		return f, nil
	}
	var head, size int
	m := &Message{}
	switch op := string(bytes.ToUpper(words[0])); op {
	case "PUB", "HPUB":
		m.FromProgram = true
		head, size, err = m.announced(words[1:], op == "HPUB", 0)
	case "MSG", "HMSG":
		head, size, err = m.announced(words[1:], op == "HMSG", 1)
	default:
		return f, nil
	}
	if err != nil {
		return f, fmt.Errorf("line %.80q: %w", line, err)
	}
	f.raw = append(f.raw, make([]byte, size+2)...) // CRLF
	body := f.raw[len(line):]
	if _, err := io.ReadFull(r, body); err != nil {
		return f, err
	}
	m.Header, m.Data = header(body[:head]), body[head:size]
	f.message = m
	return f, nil
}

// announced reads SUBJECT [sid] [REPLY] [HEADER-SIZE] SIZE; skip counts sids.
func (m *Message) announced(words [][]byte, headed bool, skip int) (head, size int, err error) {
	numbers := 1
	if headed {
		numbers = 2
	}
	names := len(words) - skip - numbers
	if names < 1 || names > 2 {
		return 0, 0, fmt.Errorf("%d words", len(words))
	}
	m.Subject = string(words[0])
	if names == 2 {
		m.Reply = string(words[1+skip])
	}
	if size, err = strconv.Atoi(string(words[len(words)-1])); err != nil {
		return 0, 0, err
	}
	if headed {
		if head, err = strconv.Atoi(string(words[len(words)-2])); err != nil {
			return 0, 0, err
		}
	}
	if head < 0 || size < head || size > maxFrame {
		return 0, 0, fmt.Errorf("%d bytes with a header of %d", size, head)
	}
	return head, size, nil
}

// header reads NATS/1.0 and the lines behind it; nil if there is none.
func header(raw []byte) textproto.MIMEHeader {
	r := textproto.NewReader(bufio.NewReader(bytes.NewReader(raw)))
	if _, err := r.ReadLine(); err != nil {
		return nil
	}
	h, err := r.ReadMIMEHeader()
	if err != nil {
		return nil
	}
	return h
}
