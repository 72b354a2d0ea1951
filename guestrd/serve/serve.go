// Package serve is the guest's side of the protocol: it reads the host's frames, keeps
// their order, and hands them to the machine and to the run that they are for.
//
// Its place in a job's life: the whole of it, as seen from inside. It must not know how a
// machine is set up nor how a job is run.
package serve

import (
	"bufio"
	"errors"
	"io"
	"strings"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Machine is what the frames act upon. An error may say its Fault code by a method FaultCode.
type Machine interface {
	Identify(*guestproto.Identity) error
	Mount(*guestproto.Rootfs) error
	// Freeze returns the frozen layer's size in bytes.
	Freeze() (int64, error)
	// Prepare begins a run, which sends its own messages to w.
	Prepare(n uint16, job *guestproto.Job, w *guestproto.Writer) Run
}

// Run is a job in progress. No method waits for its program.
type Run interface {
	Input(p []byte)
	InputEnd()
	Start()
	Stdin(p []byte) error
	StdinEnd()
	Kill(guestproto.Kill)
	// Done yields once: nil, or the platform's fault.
	Done() <-chan error
}

// coder is an error that knows its code among guestproto's Fault codes.
type coder interface {
	error
	FaultCode() string
}

// fault gives an error a code.
type fault struct {
	code string
	error
}

func (f *fault) FaultCode() string { return f.code }
func (f *fault) Unwrap() error     { return f.error }

// errPoweroff ends serve as the host wished.
var errPoweroff = errors.New("power off")

// Serve announces the guest and serves frames until Poweroff (nil), the stream's end or a
// fault, which the host has been told if the stream still works.
func Serve(rw io.ReadWriter, m Machine, ready *guestproto.Ready) error {
	s := &server{machine: m, w: guestproto.NewWriter(rw), failed: make(chan error, 1), ended: make(chan struct{})}
	if err := s.w.Send(0, ready); err != nil {
		return err
	}
	err := s.loop(guestproto.NewReader(bufio.NewReaderSize(rw, guestproto.MaxData), guestproto.Host))
	if errors.Is(err, errPoweroff) {
		return nil
	}
	s.report(err)
	return err
}

type server struct {
	machine Machine
	w       *guestproto.Writer
	failed  chan error
	ended   chan struct{} // closed when nothing is served any more

	identified bool
	mounted    bool
	run        *active
	last       uint16
}

// active is the current run and what the host has sent for it.
type active struct {
	Run
	n                            uint16
	job                          *guestproto.Job
	inputEnded, stdinEnded, went bool
	input                        int64
	over                         chan struct{} // closed when the run is over without a fault
}

// watch waits for the run's end.
func (s *server) watch(a *active) {
	select {
	case err := <-a.Done():
		if err != nil {
			s.fail(err)
			return
		}
		close(a.over)
	case <-s.ended:
	}
}

// loop handles one frame after the other where it reads them: under emulation each hand-over to another
// goroutine costs as much as the frame. It returns at the first error of a frame or of a run.
func (s *server) loop(r *guestproto.Reader) error {
	defer close(s.ended)
	go func() {
		for {
			f, err := r.Next()
			if err == nil {
				err = s.handle(f)
			}
			if err != nil {
				s.fail(err)
				return
			}
		}
	}()
	return <-s.failed
}

// fail ends the loop; only the first reason counts.
func (s *server) fail(why error) {
	select {
	case s.failed <- why:
	default:
	}
}

func (s *server) handle(f guestproto.Frame) error {
	if f.Run != 0 {
		return s.handleRun(f)
	}
	m, err := guestproto.Decode(f)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *guestproto.Identity:
		return s.identify(m)
	case *guestproto.Rootfs:
		return s.mount(m)
	case *guestproto.Freeze:
		return s.freeze()
	case *guestproto.Ping:
		return s.w.Send(0, &guestproto.Pong{Nonce: m.Nonce})
	case *guestproto.Poweroff:
		return errPoweroff
	}
	return guestproto.Broken("%s: unexpected", f.Type)
}

func (s *server) identify(m *guestproto.Identity) error {
	s.settleIfOver()
	if s.run != nil {
		return guestproto.Broken("identity during run %d", s.run.n)
	}
	if err := s.machine.Identify(m); err != nil {
		return coded(guestproto.FaultIdentity, err)
	}
	s.identified = true
	return s.w.Send(0, &guestproto.IdentityDone{})
}

func (s *server) mount(m *guestproto.Rootfs) error {
	if s.mounted {
		return guestproto.Broken("a second rootfs")
	}
	took, err := timed(func() error { return s.machine.Mount(m) })
	if err != nil {
		return coded(guestproto.FaultRootfs, err)
	}
	s.mounted = true
	return s.w.Send(0, &guestproto.Mounted{TookUS: took})
}

func (s *server) freeze() error {
	s.settleIfOver()
	if s.run != nil {
		return guestproto.Broken("freeze during run %d", s.run.n)
	}
	size, err := s.machine.Freeze()
	if err != nil {
		return coded(guestproto.FaultJob, err)
	}
	return s.w.Send(0, &guestproto.Frozen{Bytes: size})
}

func coded(code string, err error) error {
	var c coder
	if errors.As(err, &c) {
		return err
	}
	return &fault{code, err}
}

// report tells the host why nothing follows. The stream may be gone; so be it.
func (s *server) report(err error) {
	m := &guestproto.Fault{Code: guestproto.FaultJob, Message: text(err)}
	var c coder
	var broken *guestproto.ProtocolError
	switch {
	case errors.As(err, &c):
		m.Code = c.FaultCode()
	case errors.As(err, &broken):
		m.Code = guestproto.FaultProtocol
	}
	_ = s.w.Send(0, m)
}

func text(err error) string {
	s := strings.ToValidUTF8(err.Error(), "\ufffd")
	return strings.ToValidUTF8(s[:min(len(s), 1<<10)], "")
}
