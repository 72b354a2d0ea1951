package session

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"syscall"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Kind says in which way a guest failed. All of them are the platform's failure, never the job's.
type Kind string

// The kinds.
const (
	Died    Kind = "died"    // the stream ended
	Hung    Kind = "hung"    // no answer in time
	Lied    Kind = "lied"    // it broke the protocol or a limit that it had to keep
	Faulted Kind = "faulted" // it said itself that it can't go on
)

// GuestError is a failure of the machine.
type GuestError struct {
	Kind Kind
	// Code is guestproto's, with Faulted.
	Code string
	Err  error
}

func (e *GuestError) Error() string {
	if e.Code != "" {
		return fmt.Sprintf("guest %s: %s: %v", e.Kind, e.Code, e.Err)
	}
	return fmt.Sprintf("guest %s: %v", e.Kind, e.Err)
}

func (e *GuestError) Unwrap() error { return e.Err }

var errClosed = errors.New("session is closed")

// classify tells a broken protocol from a broken stream.
func classify(err error) error {
	var broken *guestproto.ProtocolError
	if errors.As(err, &broken) {
		return &GuestError{Kind: Lied, Err: err}
	}
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, net.ErrClosed, os.ErrClosed, syscall.EPIPE, syscall.ECONNRESET} {
		if errors.Is(err, end) {
			return &GuestError{Kind: Died, Err: err}
		}
	}
	return &GuestError{Kind: Died, Err: fmt.Errorf("channel: %w", err)}
}

func faultOf(f guestproto.Frame) error {
	m, err := guestproto.Decode(f)
	if err != nil {
		return classify(err)
	}
	fault := m.(*guestproto.Fault)
	return &GuestError{Kind: Faulted, Code: fault.Code, Err: errors.New(fault.Message)}
}

func unexpected(f guestproto.Frame) error {
	return &GuestError{Kind: Lied, Err: guestproto.Broken("%s of run %d: unexpected", f.Type, f.Run)}
}
