package job

import (
	"fmt"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Input takes bytes of the input tar. It waits while the child unpacks.
func (r *Run) Input(p []byte) {
	if r.input.put(p) >= inputQueue {
		r.input.waitBelow(inputQueue)
	}
}

// InputEnd marks the end of the input tar.
func (r *Run) InputEnd() { r.input.end() }

// Stdin takes bytes for the program. It never waits; a host that sends more than the
// window allows gets an error.
func (r *Run) Stdin(p []byte) error {
	if queued := r.stdin.put(p); queued > guestproto.StdinWindow {
		return fmt.Errorf("%d bytes of stdin are waiting, at most %d", queued, guestproto.StdinWindow)
	}
	return nil
}

// StdinEnd closes the program's stdin after what was sent.
func (r *Run) StdinEnd() { r.stdin.end() }
