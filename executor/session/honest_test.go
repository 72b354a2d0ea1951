package session_test

import (
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/guestrd/serve"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// honest is a machine whose programs are functions; the protocol around them is the guest's own.
type honest struct {
	program func(*honestRun) guestproto.Exit
}

func (h honest) Identify(*guestproto.Identity) error { return nil }
func (h honest) Mount(*guestproto.Rootfs) error      { return nil }
func (h honest) Freeze() (int64, error)              { return 4096, nil }
func (h honest) Prepare(n uint16, job *guestproto.Job, w *guestproto.Writer) serve.Run {
	r := &honestRun{n: n, job: job, w: w, start: make(chan struct{}), kill: make(chan guestproto.Kill, 1), done: make(chan error, 1)}
	r.stdinR, r.stdinW = io.Pipe()
	go r.live(h.program)
	return r
}

// honestRun keeps what it gets.
type honestRun struct {
	n     uint16
	job   *guestproto.Job
	w     *guestproto.Writer
	start chan struct{}
	kill  chan guestproto.Kill
	done  chan error

	mu     sync.Mutex
	input  bytes.Buffer
	taken  int64
	stdinR *io.PipeReader
	stdinW *io.PipeWriter
}

func (r *honestRun) live(program func(*honestRun) guestproto.Exit) {
	exit := guestproto.Exit{}
	select {
	case <-r.start:
		r.w.Send(r.n, &guestproto.Staged{Bytes: int64(r.input.Len())})
		r.w.Send(r.n, &guestproto.Started{})
		exit = program(r)
	case k := <-r.kill:
		exit = guestproto.Exit{Signal: 9, Killed: true, Message: k.Reason}
	}
	r.w.Send(r.n, &exit)
	var out []byte
	if r.job.Output.Via == guestproto.ViaChannel {
		out = bytes.Repeat([]byte("tar!"), 50_000)
		r.w.Data(guestproto.TypeOutput, r.n, out)
	}
	r.w.Send(r.n, &guestproto.Collected{Bytes: int64(len(out)), Entries: 1})
	r.done <- nil
}

func (r *honestRun) Input(p []byte) { r.input.Write(p) }
func (r *honestRun) InputEnd()      {}
func (r *honestRun) Start()         { close(r.start) }
func (r *honestRun) Kill(k guestproto.Kill) {
	select {
	case r.kill <- k:
	default: // only the first counts
	}
}
func (r *honestRun) Done() <-chan error { return r.done }
func (r *honestRun) StdinEnd()          {}
func (r *honestRun) Stdin(p []byte) error {
	p = bytes.Clone(p)
	go func() { // a program reads in its own time
		r.stdinW.Write(p)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.taken += int64(len(p))
		r.w.Send(r.n, &guestproto.StdinTaken{Total: r.taken})
	}()
	return nil
}

func ready() *guestproto.Ready {
	return &guestproto.Ready{Protocol: guestproto.Version, Arch: "amd64", Kernel: "6.1", CPUModel: "x", Guest: "test"}
}

// talk opens a session with an honest machine.
func talk(t *testing.T, program func(*honestRun) guestproto.Exit) *session.Session {
	t.Helper()
	host, guest := net.Pipe()
	go func() {
		serve.Serve(guest, honest{program}, ready())
		guest.Close()
	}()
	s, got, err := session.Open(t.Context(), host, session.Options{})
	if err != nil || got.Arch != "amd64" {
		t.Fatalf("open: %+v, %v", got, err)
	}
	t.Cleanup(func() { s.Close() })
	if err := s.Identify(t.Context(), identity()); err != nil {
		t.Fatal(err)
	}
	if err := s.Mount(t.Context(), guestproto.Rootfs{FS: guestproto.FSErofs, Serial: "root"}); err != nil {
		t.Fatal(err)
	}
	return s
}

func identity() guestproto.Identity {
	return guestproto.Identity{Entropy: make([]byte, 64), ClockNS: 1, Hostname: "a", MachineID: strings.Repeat("0", 32)}
}

func job() *guestproto.Job {
	return &guestproto.Job{
		Argv: []string{"x"}, Cwd: "/work", Limits: guestproto.Limits{WallMS: 1000, Scratch: 1, Log: 1000, Output: 1 << 20},
		Input: guestproto.Input{Via: guestproto.ViaNone}, Output: guestproto.Output{Via: guestproto.ViaNone}, Stdin: guestproto.Stdin{Via: guestproto.ViaNone},
	}
}

func TestRun(t *testing.T) {
	t.Parallel()
	s := talk(t, func(r *honestRun) guestproto.Exit {
		r.w.Data(guestproto.TypeStdout, r.n, []byte("out"))
		r.w.Data(guestproto.TypeStderr, r.n, []byte("err"))
		return guestproto.Exit{Code: 3, WallUS: 7}
	})
	if err := s.Ping(t.Context(), 77); err != nil {
		t.Fatal(err)
	}
	for range 3 { // runs on one machine, as for warm-ups
		var stdout, stderr, output bytes.Buffer
		var events []string
		j := job()
		j.Input.Via, j.Output.Via = guestproto.ViaChannel, guestproto.ViaChannel
		note := func(what string) func(time.Time) { return func(time.Time) { events = append(events, what) } }
		out, err := s.Run(t.Context(), session.Request{
			Job: j, Input: bytes.NewReader(make([]byte, 200_000)), Output: &output,
			Stdout: func(p []byte) { stdout.Write(p) }, Stderr: func(p []byte) { stderr.Write(p) },
			Staged: note("staged"), Started: note("started"), Exited: note("exited"),
		})
		if err != nil {
			t.Fatal(err)
		}
		if out.Exit.Code != 3 || out.GuestStaged.Bytes != 200_000 || stdout.String() != "out" || stderr.String() != "err" || output.Len() != 200_000 {
			t.Errorf("outcome %+v, stdout %q, stderr %q, %d bytes of outputs", out, &stdout, &stderr, output.Len())
		}
		if got := strings.Join(events, " "); got != "staged started exited" {
			t.Errorf("events %q", got)
		}
	}
	if n, err := s.Freeze(t.Context()); n != 4096 || err != nil {
		t.Errorf("freeze: %d, %v", n, err)
	}
}

func TestStdinKeepsToTheWindow(t *testing.T) {
	t.Parallel()
	s := talk(t, func(r *honestRun) guestproto.Exit {
		n, _ := io.CopyN(io.Discard, r.stdinR, 2<<20)
		return guestproto.Exit{WallUS: n}
	})
	j := job()
	j.Stdin.Via = guestproto.ViaChannel
	out, err := s.Run(t.Context(), session.Request{Job: j, Stdin: bytes.NewReader(make([]byte, 2<<20))})
	if err != nil || out.Exit.WallUS != 2<<20 {
		t.Errorf("%d bytes arrived, %v", out.Exit.WallUS, err)
	}
}

func TestKill(t *testing.T) {
	t.Parallel()
	s := talk(t, func(r *honestRun) guestproto.Exit {
		k := <-r.kill
		return guestproto.Exit{Signal: 9, Killed: true, Message: k.Reason, Limit: k.Limit, LimitsHit: []string{k.Limit}}
	})
	s.Kill("nothing runs", "") // does nothing
	out, err := s.Run(t.Context(), session.Request{Job: job(), Started: func(time.Time) { go s.Kill("cancelled", guestproto.LimitWall) }})
	if err != nil || !out.Exit.Killed || out.Exit.Message != "cancelled" || out.Exit.Limit != guestproto.LimitWall {
		t.Errorf("%+v, %v", out.Exit, err)
	}
}

func TestKillBeforeGo(t *testing.T) {
	t.Parallel()
	s := talk(t, nil)
	j := job()
	j.Input.Via = guestproto.ViaChannel
	kill := readerFunc(func([]byte) (int, error) { // it is read when the run has begun
		s.Kill("not wanted any more", "")
		return 0, io.EOF
	})
	out, err := s.Run(t.Context(), session.Request{Job: j, Input: kill, Go: make(chan struct{})})
	if err != nil || !out.Exit.Killed {
		t.Errorf("%+v, %v", out.Exit, err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestContextEndsARun(t *testing.T) {
	t.Parallel()
	s := talk(t, func(r *honestRun) guestproto.Exit { <-r.kill; return guestproto.Exit{} })
	ctx, cancel := context.WithCancelCause(t.Context())
	why := io.ErrNoProgress
	_, err := s.Run(ctx, session.Request{Job: job(), Started: func(time.Time) { cancel(why) }})
	if err != why {
		t.Errorf("error %v", err)
	}
}
