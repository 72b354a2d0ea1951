// Package guestproto is the framed protocol between the host (executor/session)
// and the init of a machine (guestrd), spoken over any byte stream.
//
// Its place in a job's life: everything between "the machine runs" and "the
// outputs are packed" is said in these messages. Either side may be hostile as
// far as the other's decoder is concerned, so every type has a direction, a
// scope and a hard cap, and anything unexpected is a *ProtocolError.
//
// It must not know queues, object stores, virtual machines or the network.
package guestproto

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Version is raised with every change that an older peer would misread.
const Version = 3

// headerLen is the size of a frame's header: type (1), zero (1), run (2), body length (4), big endian.
const headerLen = 8

// Frame is one decoded frame.
type Frame struct {
	Type Type
	// Run numbers the runs of one machine from 1; 0 belongs to the machine itself. A late
	// frame of a warm-up can therefore never be taken for one of the job.
	Run uint16
	// Body is valid until the next call of Reader.Next.
	Body []byte
}

// ProtocolError says that the peer broke the protocol. The stream is unusable after it.
type ProtocolError struct{ Reason string }

func (e *ProtocolError) Error() string { return "guest protocol: " + e.Reason }

// Broken makes a *ProtocolError.
func Broken(format string, args ...any) error {
	return &ProtocolError{Reason: fmt.Sprintf(format, args...)}
}

// Reader decodes frames that come from one side. It is not safe for concurrent use.
type Reader struct {
	r    io.Reader
	from Side
	head [headerLen]byte
	body []byte
}

// NewReader reads frames sent by from. A caller whose stream has costly reads gives a bufio.Reader.
func NewReader(r io.Reader, from Side) *Reader {
	return &Reader{r: r, from: from, body: make([]byte, 0, 4096)}
}

// Next reads one frame. It returns io.EOF only between frames, io.ErrUnexpectedEOF within
// one, and *ProtocolError for a frame that must not exist. It never allocates more than
// the cap of the frame's type.
func (r *Reader) Next() (Frame, error) {
	if _, err := io.ReadFull(r.r, r.head[:]); err != nil {
		return Frame{}, err
	}
	f := Frame{Type: Type(r.head[0]), Run: binary.BigEndian.Uint16(r.head[2:])}
	size := binary.BigEndian.Uint32(r.head[4:])
	if err := check(f, r.from, r.head[1], int64(size)); err != nil {
		return Frame{}, err
	}
	if cap(r.body) < int(size) {
		r.body = make([]byte, size)
	}
	f.Body = r.body[:size]
	if _, err := io.ReadFull(r.r, f.Body); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return Frame{}, err
	}
	return f, nil
}

// check holds a header against the table of types.
func check(f Frame, from Side, reserved byte, size int64) error {
	k, ok := kindOf(f.Type)
	switch {
	case !ok:
		return Broken("unknown frame type %#x", byte(f.Type))
	case reserved != 0:
		return Broken("%s: reserved byte is %#x", f.Type, reserved)
	case k.from != from:
		return Broken("%s: not for the %s to send", f.Type, from)
	case k.perRun != (f.Run != 0):
		return Broken("%s: run number %d is out of place", f.Type, f.Run)
	case size > int64(k.cap):
		return Broken("%s: %d bytes, at most %d", f.Type, size, k.cap)
	case k.data && size == 0:
		return Broken("%s: empty data frame", f.Type)
	}
	return nil
}
