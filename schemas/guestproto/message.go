package guestproto

import (
	"encoding/binary"
	"io"
	"sync"
)

// Message is the body of a control frame.
type Message interface {
	// Type of the frame that carries it.
	Type() Type
	// Validate reports the first field that breaks the documentation.
	Validate() error
	// fields encodes or decodes all fields.
	fields(*codec)
}

// newMessage returns an empty message of a control type, or nil.
func newMessage(t Type) Message {
	switch t {
	case TypeIdentity:
		return &Identity{}
	case TypeRootfs:
		return &Rootfs{}
	case TypeFreeze:
		return &Freeze{}
	case TypePing:
		return &Ping{}
	case TypePoweroff:
		return &Poweroff{}
	case TypeJob:
		return &Job{}
	case TypeInputEnd:
		return &InputEnd{}
	case TypeStart:
		return &Start{}
	case TypeStdinEnd:
		return &StdinEnd{}
	case TypeKill:
		return &Kill{}
	case TypeReady:
		return &Ready{}
	case TypeIdentityDone:
		return &IdentityDone{}
	case TypeMounted:
		return &Mounted{}
	case TypeFrozen:
		return &Frozen{}
	case TypePong:
		return &Pong{}
	case TypeStaged:
		return &Staged{}
	case TypeStarted:
		return &Started{}
	case TypeStdinTaken:
		return &StdinTaken{}
	case TypeExit:
		return &Exit{}
	case TypeCollected:
		return &Collected{}
	case TypeFault:
		return &Fault{}
	}
	return nil
}

// Decode decodes and validates a control frame. The body must be exactly what Writer.Send
// makes of the message: missing and trailing bytes, other encodings of a value, and text that
// isn't UTF-8 are all a *ProtocolError.
func Decode(f Frame) (Message, error) {
	m := newMessage(f.Type)
	if m == nil {
		return nil, Broken("%s: not a message", f.Type)
	}
	c := codec{decode: true, b: f.Body}
	m.fields(&c)
	if c.broken || len(c.b) > 0 {
		return nil, Broken("%s: %d bytes are not its encoding", f.Type, len(f.Body))
	}
	if err := m.Validate(); err != nil {
		return nil, Broken("%s: %v", f.Type, err)
	}
	return m, nil
}

// Writer encodes frames. Its methods may be called concurrently; each frame is one Write.
type Writer struct {
	mu  sync.Mutex
	w   io.Writer
	buf []byte
}

// NewWriter writes frames to w.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w} }

// Send validates m and sends it. Run is 0 for the machine's messages.
func (w *Writer) Send(run uint16, m Message) error {
	if err := m.Validate(); err != nil {
		return Broken("%s: %v", m.Type(), err)
	}
	var c codec
	m.fields(&c)
	return w.frame(m.Type(), run, c.b)
}

// Data sends p in as many data frames as it takes; none for an empty p.
func (w *Writer) Data(t Type, run uint16, p []byte) error {
	for len(p) > 0 {
		n := min(len(p), MaxData)
		if err := w.frame(t, run, p[:n]); err != nil {
			return err
		}
		p = p[n:]
	}
	return nil
}

func (w *Writer) frame(t Type, run uint16, body []byte) error {
	k, _ := kindOf(t)
	if err := check(Frame{Type: t, Run: run}, k.from, 0, int64(len(body))); err != nil {
		return err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.buf = append(w.buf[:0], byte(t), 0)
	w.buf = binary.BigEndian.AppendUint16(w.buf, run)
	w.buf = binary.BigEndian.AppendUint32(w.buf, uint32(len(body)))
	w.buf = append(w.buf, body...)
	_, err := w.w.Write(w.buf)
	return err
}
