package session

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// send sends inputs, the start, and stdin, while step reads. What the guest no longer wants,
// because the run has ended, it drops.
func (a *attempt) send() {
	defer close(a.sent)
	if err := a.sendInput(); err != nil {
		a.s.fail(err)
		return
	}
	if a.ended() {
		return
	}
	if a.q.Go != nil {
		select {
		case <-a.q.Go:
			a.deadline(a.s.o.Reply+a.transferTime(a.q.Job.Input.Size), "the program was not started")
		case <-a.over:
			return
		}
	}
	if err := a.s.w.Send(a.n, &guestproto.Start{}); err != nil {
		a.s.fail(classify(err))
		return
	}
	if err := a.sendStdin(); err != nil {
		a.s.fail(err)
	}
}

func (a *attempt) sendInput() error {
	if a.q.Job.Input.Via != guestproto.ViaChannel {
		return nil
	}
	var total int64
	err := a.copy(guestproto.TypeInput, a.q.Input, func(n int) bool {
		if a.ended() {
			return false
		}
		total += int64(n)
		return true
	})
	if err != nil {
		return fmt.Errorf("send inputs: %w", err)
	}
	// The guest may not know yet that the run is over for us, and would miss what was not sent.
	if a.ended() {
		return nil
	}
	return wireError(a.s.w.Send(a.n, &guestproto.InputEnd{Size: total}))
}

func (a *attempt) sendStdin() error {
	if a.q.Job.Stdin.Via != guestproto.ViaChannel {
		return nil
	}
	if err := a.copy(guestproto.TypeStdin, a.q.Stdin, a.window.take); err != nil {
		return fmt.Errorf("send stdin: %w", err)
	}
	if a.ended() {
		return nil
	}
	return wireError(a.s.w.Send(a.n, &guestproto.StdinEnd{}))
}

// copy sends data frames as long as admit lets each through.
func (a *attempt) copy(t guestproto.Type, from io.Reader, admit func(n int) bool) error {
	if from == nil {
		return nil
	}
	read := from.Read // stdin goes out as it comes
	if t == guestproto.TypeInput {
		read = func(p []byte) (int, error) { return io.ReadFull(from, p) }
	}
	buf := make([]byte, guestproto.MaxData)
	for {
		n, err := read(buf)
		if n > 0 {
			if !admit(n) {
				return nil
			}
			if werr := a.s.w.Data(t, a.n, buf[:n]); werr != nil {
				return wireError(werr)
			}
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) && t == guestproto.TypeInput {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func wireError(err error) error {
	if err == nil {
		return nil
	}
	return classify(err)
}

func (a *attempt) ended() bool {
	select {
	case <-a.over:
		return true
	default:
		return false
	}
}

// window holds stdin back until the guest has taken what came before.
type window struct {
	mu     sync.Mutex
	cond   *sync.Cond
	sent   int64
	taken  int64
	closed bool
}

func newWindow() *window {
	w := &window{}
	w.cond = sync.NewCond(&w.mu)
	return w
}

// take waits until n more bytes may be sent. It is false when the run is over.
func (w *window) take(n int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.sent+int64(n)-w.taken > guestproto.StdinWindow && !w.closed {
		w.cond.Wait()
	}
	w.sent += int64(n)
	return !w.closed
}

// open notes what the guest has taken. It is false if that can't be.
func (w *window) open(total int64) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if total < w.taken || total > w.sent {
		return false
	}
	w.taken = total
	w.cond.Broadcast()
	return true
}

func (w *window) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	w.cond.Broadcast()
}

// budget bounds how many frames a run may have: a guest sends small ones at most every few
// milliseconds, so that many more are an attack on the host's processor.
type budget struct {
	begin  time.Time
	frames int64
	bytes  int64
}

// A run's allowance of frames.
const (
	framesAtOnce    = 4096
	framesPerSecond = 2000
	bytesPerFrame   = 4096
)

func newBudget() budget { return budget{begin: time.Now()} }

func (b *budget) spend(size int) error {
	b.frames++
	b.bytes += int64(size)
	if b.frames <= framesAtOnce+b.bytes/bytesPerFrame {
		return nil
	}
	if allowed := int64(time.Since(b.begin).Seconds() * framesPerSecond); b.frames > framesAtOnce+b.bytes/bytesPerFrame+allowed {
		return fmt.Errorf("%d frames with %d bytes in %s", b.frames, b.bytes, time.Since(b.begin).Round(time.Millisecond))
	}
	return nil
}
