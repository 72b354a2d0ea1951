package session_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/guestrd/serve"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// refusing is a machine that has no room for inputs, and is long to tidy up after a run.
type refusing struct {
	honest
	refused chan struct{} // closed when the host was told
	tidy    chan struct{} // the run is over when this is closed
}

func (m *refusing) Prepare(n uint16, job *guestproto.Job, w *guestproto.Writer) serve.Run {
	if job.Input.Via == guestproto.ViaNone {
		return m.honest.Prepare(n, job, w)
	}
	return &refusedRun{honestRun: &honestRun{n: n, job: job, w: w, done: make(chan error, 1)}, machine: m}
}

type refusedRun struct {
	*honestRun
	machine *refusing
	frames  int
}

func (r *refusedRun) Start()    {}
func (r *refusedRun) InputEnd() {}
func (r *refusedRun) Input([]byte) {
	if r.frames++; r.frames != 2 {
		return
	}
	r.w.Send(r.n, &guestproto.Exit{Code: 126, NotStarted: true, Message: "no room"})
	r.w.Send(r.n, &guestproto.Collected{})
	close(r.machine.refused)
	go func() {
		<-r.machine.tidy
		r.done <- nil
	}()
}

// untilRefused is an input of which two frames come at once, and the others when the host
// can know that the run is over.
type untilRefused struct {
	first, rest io.Reader
	refused     chan struct{}
}

func (u *untilRefused) Read(p []byte) (int, error) {
	if n, err := u.first.Read(p); err == nil {
		return n, nil
	}
	<-u.refused
	return u.rest.Read(p)
}

// A run that ends while its inputs are on their way leaves a machine that can run another.
func TestInputsOfARunThatIsOver(t *testing.T) {
	t.Parallel()
	for range 20 { // what the host is at when it hears of the end is a matter of luck
		m := &refusing{honest{func(*honestRun) guestproto.Exit { return guestproto.Exit{} }}, make(chan struct{}), make(chan struct{})}
		host, guest := net.Pipe()
		go func() {
			serve.Serve(guest, m, ready())
			guest.Close()
		}()
		s, _, err := session.Open(t.Context(), host, session.Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		if err := s.Identify(t.Context(), identity()); err != nil {
			t.Fatal(err)
		}
		if err := s.Mount(t.Context(), guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "root"}); err != nil {
			t.Fatal(err)
		}
		j := job()
		j.Input.Via = guestproto.ViaChannel
		frames := func(n int) io.Reader { return bytes.NewReader(make([]byte, n*guestproto.MaxData)) }
		out, err := s.Run(t.Context(), session.Request{Job: j, Input: &untilRefused{frames(2), frames(100), m.refused}})
		if err != nil || !out.Exit.NotStarted {
			t.Fatalf("refused: %+v, %v", out.Exit, err)
		}
		time.AfterFunc(20*time.Millisecond, func() { close(m.tidy) })
		if out, err := s.Run(t.Context(), session.Request{Job: job()}); err != nil || out.Exit.Code != 0 {
			t.Fatalf("the next: %+v, %v", out.Exit, err)
		}
	}
}
