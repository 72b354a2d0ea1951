package qemu

import (
	"bytes"
	"fmt"
	"os"
	"strings"
	"syscall"
)

// ExitError says why a machine ended.
type ExitError struct {
	// Killed is why we killed it: ErrClosed, the context's cause, or nil.
	Killed error
	// Guest is QEMU's word for how the guest ended itself: guest-reset (also
	// after a panic), guest-shutdown, guest-panic; empty otherwise.
	Guest string
	// State is how the QEMU process ended.
	State *os.ProcessState
	// Messages is the end of what QEMU wrote to stderr, Console of what the
	// guest wrote to its serial console.
	Messages, Console []byte
}

// Panic returns the guest kernel's last words, or "".
func (e *ExitError) Panic() string {
	const mark = "Kernel panic - not syncing: "
	i := bytes.LastIndex(e.Console, []byte(mark))
	if i < 0 {
		return ""
	}
	line, _, _ := bytes.Cut(e.Console[i+len(mark):], []byte("\n"))
	return strings.TrimSpace(string(line[:min(len(line), 200)]))
}

// Error is one line.
func (e *ExitError) Error() string {
	switch {
	case e.Killed != nil:
		return fmt.Sprintf("machine killed: %v", e.Killed)
	case e.Panic() != "":
		return fmt.Sprintf("guest kernel panicked: %q", e.Panic())
	case e.Guest != "":
		return "guest ended itself: " + e.Guest
	}
	reason := "QEMU ended"
	if e.State != nil {
		reason = "QEMU ended: " + e.State.String()
	}
	if m := lastLine(e.Messages); m != "" {
		reason += fmt.Sprintf(": %q", m)
	}
	return reason
}

// Unwrap makes errors.Is find ErrClosed and context errors.
func (e *ExitError) Unwrap() error { return e.Killed }

// Signal is the signal that ended QEMU, 0 if none did.
func (e *ExitError) Signal() syscall.Signal {
	if e.State != nil {
		if s, ok := e.State.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return s.Signal()
		}
	}
	return 0
}

func lastLine(b []byte) string {
	b = bytes.TrimSpace(b)
	b = b[bytes.LastIndexByte(b, '\n')+1:]
	return string(b[:min(len(b), 300)])
}
