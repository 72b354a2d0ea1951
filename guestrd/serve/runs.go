package serve

import (
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// handleRun serves the frames of one run, in the order that the protocol allows.
func (s *server) handleRun(f guestproto.Frame) error {
	if f.Type == guestproto.TypeJob {
		return s.prepare(f)
	}
	if f.Run > s.last {
		return guestproto.Broken("%s: run %d has no job", f.Type, f.Run)
	}
	if s.run == nil || s.run.n != f.Run || s.run.isOver() {
		return nil // the run is over: the host could not know yet
	}
	switch f.Type {
	case guestproto.TypeInput:
		return s.run.takeInput(f.Body)
	case guestproto.TypeStdin:
		return s.run.takeStdin(f.Body)
	}
	m, err := guestproto.Decode(f)
	if err != nil {
		return err
	}
	switch m := m.(type) {
	case *guestproto.InputEnd:
		return s.run.endInput(m)
	case *guestproto.Start:
		return s.run.begin()
	case *guestproto.StdinEnd:
		return s.run.endStdin()
	case *guestproto.Kill:
		s.run.Kill(*m)
		return nil
	}
	return guestproto.Broken("%s: unexpected", f.Type)
}

// prepare begins the next run. Only one is on at a time, and their numbers rise.
func (s *server) prepare(f guestproto.Frame) error {
	m, err := guestproto.Decode(f)
	if err != nil {
		return err
	}
	s.settleIfOver()
	switch {
	case !s.identified:
		return guestproto.Broken("job before identity")
	case !s.mounted:
		return guestproto.Broken("job before rootfs")
	case s.run != nil:
		return guestproto.Broken("job during run %d", s.run.n)
	case f.Run <= s.last:
		return guestproto.Broken("run %d after run %d", f.Run, s.last)
	}
	job := m.(*guestproto.Job)
	s.last = f.Run
	s.run = &active{Run: s.machine.Prepare(f.Run, job, s.w), n: f.Run, job: job, over: make(chan struct{})}
	go s.watch(s.run)
	return nil
}

// tidying is how long a run may take to end after its Collected, which includes that the next one's sandbox is
// ready: 0.2 s on an idle host. It is less than the host waits for any answer.
const tidying = 20 * time.Second

// settleIfOver gives a run that has sent its Collected the time it needs to be over.
func (s *server) settleIfOver() {
	if s.run == nil {
		return
	}
	select {
	case <-s.run.over:
		s.run = nil
	case <-time.After(tidying):
	}
}

// isOver says so without waiting.
func (a *active) isOver() bool {
	select {
	case <-a.over:
		return true
	default:
		return false
	}
}

func (a *active) takeInput(p []byte) error {
	if a.job.Input.Via != guestproto.ViaChannel || a.inputEnded {
		return guestproto.Broken("input: unexpected")
	}
	a.input += int64(len(p))
	a.Input(p)
	return nil
}

func (a *active) endInput(m *guestproto.InputEnd) error {
	if a.job.Input.Via != guestproto.ViaChannel || a.inputEnded || m.Size != a.input {
		return guestproto.Broken("input_end: %d bytes, %d came", m.Size, a.input)
	}
	a.inputEnded = true
	a.InputEnd()
	return nil
}

func (a *active) begin() error {
	if a.went {
		return guestproto.Broken("start: again")
	}
	a.went = true
	a.Start()
	return nil
}

func (a *active) takeStdin(p []byte) error {
	if a.job.Stdin.Via != guestproto.ViaChannel || a.stdinEnded {
		return guestproto.Broken("stdin: unexpected")
	}
	if err := a.Stdin(p); err != nil {
		return guestproto.Broken("stdin: %v", err)
	}
	return nil
}

func (a *active) endStdin() error {
	if a.job.Stdin.Via != guestproto.ViaChannel || a.stdinEnded {
		return guestproto.Broken("stdin_end: unexpected")
	}
	a.stdinEnded = true
	a.StdinEnd()
	return nil
}

// timed returns how long f took, in microseconds.
func timed(f func() error) (int64, error) {
	begin := time.Now()
	err := f()
	return time.Since(begin).Microseconds(), err
}
