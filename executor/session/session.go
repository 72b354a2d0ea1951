// Package session is the host's side of the guest protocol: it talks to one machine over
// one byte stream, and believes nothing that comes back.
//
// Its place in a job's life: from the machine's first word to its packed outputs. It must not
// know queues, object stores, nor what kind of machine it talks to.
package session

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Options of a session; the zero value has the defaults.
type Options struct {
	// Ready is how long a machine may take to boot. Default 60 s: emulation is slow.
	Ready time.Duration
	// Reply is how long it may take for any answer but those below. Default 30 s.
	Reply time.Duration
	// Transfer is the lowest rate of inputs and outputs, in bytes per second, by which the deadlines of
	// staging and collecting grow beyond Reply. Default 1 MiB/s.
	Transfer int64
	// Grace is how long after the job's own wall limit the host's clock stops it. Default 5 s.
	Grace time.Duration
	// Runs is how many runs a machine had in a former life (Session.Runs, when it was baked): it takes
	// none of them again. For Resume only. Default 0.
	Runs uint16
	// Dying is how long a killed job may take to end before the machine counts as hung. Default 15 s.
	Dying time.Duration
}

func (o Options) withDefaults() Options {
	for value, fallback := range map[*time.Duration]time.Duration{
		&o.Ready: 60 * time.Second, &o.Reply: 30 * time.Second, &o.Grace: 5 * time.Second, &o.Dying: 15 * time.Second,
	} {
		if *value <= 0 {
			*value = fallback
		}
	}
	if o.Transfer <= 0 {
		o.Transfer = 1 << 20
	}
	return o
}

// Session is a conversation with one machine. Identify, Mount, Freeze, Ping and Run are called
// one after the other; Kill and Close at any time. After any error the session is of no more use.
type Session struct {
	conn io.ReadWriteCloser
	o    Options
	w    *guestproto.Writer

	frames chan incoming // from the reader, one at a time
	next   chan struct{} // lets the reader overwrite the last frame's body
	gone   chan struct{} // closed when the session is closed
	close  sync.Once
	held   bool // the reader waits for next

	mu     sync.Mutex
	why    error // the first reason to close
	run    uint16
	killed func() // arms the deadline of a killed run; nil while none is on
}

type incoming struct {
	frame guestproto.Frame
	err   error
}

// Open begins a session with a machine that boots, and returns when it is ready. On
// error the connection is closed.
func Open(ctx context.Context, conn io.ReadWriteCloser, o Options) (*Session, guestproto.Ready, error) {
	s := Resume(conn, o)
	m, err := expect[*guestproto.Ready](ctx, s, s.o.Ready, nil)
	if err == nil && m.Protocol != guestproto.Version {
		err = s.fail(&GuestError{Kind: Lied, Err: fmt.Errorf("guest speaks protocol %d, version %d wanted", m.Protocol, guestproto.Version)})
	}
	if err != nil {
		s.Close()
		return nil, guestproto.Ready{}, err
	}
	return s, *m, nil
}

// Resume begins a session with a machine that was restored: it said Ready in a former life.
func Resume(conn io.ReadWriteCloser, o Options) *Session {
	s := &Session{
		conn: conn, o: o.withDefaults(), w: guestproto.NewWriter(conn),
		frames: make(chan incoming), next: make(chan struct{}), gone: make(chan struct{}),
		run: o.Runs,
	}
	go s.read()
	return s
}

// read decodes one frame at a time: a guest can't make the host keep more than that.
func (s *Session) read() {
	r := guestproto.NewReader(bufio.NewReaderSize(s.conn, 2*guestproto.MaxData), guestproto.Guest)
	for {
		f, err := r.Next()
		select {
		case s.frames <- incoming{f, err}:
		case <-s.gone:
			return
		}
		if err != nil {
			return
		}
		select {
		case <-s.next:
		case <-s.gone:
			return
		}
	}
}

// receive returns the next frame, whose body is valid until the next call.
func (s *Session) receive() (guestproto.Frame, error) {
	if s.held {
		select {
		case s.next <- struct{}{}:
			s.held = false
		case <-s.gone:
			return guestproto.Frame{}, s.reason(nil)
		}
	}
	select {
	case in := <-s.frames:
		if in.err != nil {
			return guestproto.Frame{}, s.fail(classify(in.err))
		}
		s.held = true
		if in.frame.Type == guestproto.TypeFault {
			return guestproto.Frame{}, s.fail(faultOf(in.frame))
		}
		return in.frame, nil
	case <-s.gone:
		return guestproto.Frame{}, s.reason(nil)
	}
}

// Identify makes the machine unlike its clones: random numbers, clock, names. It comes first.
func (s *Session) Identify(ctx context.Context, m guestproto.Identity) error {
	_, err := expect[*guestproto.IdentityDone](ctx, s, s.o.Reply, &m)
	return err
}

// Mount mounts the image.
func (s *Session) Mount(ctx context.Context, m guestproto.Rootfs) error {
	_, err := expect[*guestproto.Mounted](ctx, s, s.o.Reply, &m)
	return err
}

// Freeze makes what the last run wrote part of the image of later runs, and returns its size in bytes.
func (s *Session) Freeze(ctx context.Context) (int64, error) {
	done, err := expect[*guestproto.Frozen](ctx, s, s.o.Reply, &guestproto.Freeze{})
	if err != nil {
		return 0, err
	}
	return done.Bytes, nil
}

// Ping returns when the guest has answered.
func (s *Session) Ping(ctx context.Context, nonce uint64) error {
	pong, err := expect[*guestproto.Pong](ctx, s, s.o.Reply, &guestproto.Ping{Nonce: nonce})
	if err == nil && pong.Nonce != nonce {
		err = s.fail(&GuestError{Kind: Lied, Err: errors.New("pong for another ping")})
	}
	return err
}

// Runs is how many runs the machine has had.
func (s *Session) Runs() uint16 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.run
}

// Poweroff asks the machine to stop and closes the session.
func (s *Session) Poweroff() error {
	guard := time.AfterFunc(time.Second, func() { s.Close() })
	defer guard.Stop()
	err := s.w.Send(0, &guestproto.Poweroff{})
	return errors.Join(err, s.Close())
}

// Close ends the session and whatever waits on it.
func (s *Session) Close() error {
	s.fail(errClosed)
	return nil
}

// expect sends a request, if there is one, and waits for its only possible answer.
func expect[M guestproto.Message](ctx context.Context, s *Session, patience time.Duration, request guestproto.Message) (M, error) {
	var none M
	release := s.guard(ctx, patience)
	defer release()
	if request != nil {
		if err := s.w.Send(0, request); err != nil {
			return none, s.reason(classify(err))
		}
	}
	f, err := s.receive()
	if err != nil {
		return none, err
	}
	m, err := guestproto.Decode(f)
	if err != nil {
		return none, s.fail(classify(err))
	}
	answer, ok := m.(M)
	if !ok {
		return none, s.fail(unexpected(f))
	}
	return answer, nil
}

// guard closes the session when ctx ends, or when patience is over; whoever reads or writes then
// returns with that as the reason. A stuck write can be ended in no other way.
func (s *Session) guard(ctx context.Context, patience time.Duration) (release func()) {
	stop := context.AfterFunc(ctx, func() { s.fail(context.Cause(ctx)) })
	timer := time.AfterFunc(patience, func() {
		s.fail(&GuestError{Kind: Hung, Err: fmt.Errorf("no answer within %s", patience)})
	})
	return func() {
		stop()
		timer.Stop()
	}
}

// fail closes the session for a reason, unless it had one before, and returns the first.
func (s *Session) fail(why error) error {
	s.mu.Lock()
	if s.why == nil {
		s.why = why
	}
	why = s.why
	s.mu.Unlock()
	s.close.Do(func() {
		close(s.gone)
		s.conn.Close()
	})
	return why
}

// reason is why the session was closed, or else the given error.
func (s *Session) reason(otherwise error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.why != nil {
		return s.why
	}
	return otherwise
}
