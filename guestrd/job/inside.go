package job

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/program-explorer/pe/guestrd/sandbox"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// Inside runs a job where the host has made root, namespaces and limits: it starts the program as its
// own child, as process 1 of the job's PID namespace, and keeps the clock. It has one run, and is
// not fit for another.
type Inside struct {
	// Names are what the host calls this machine.
	Names sandbox.Names
	// PIDs limits processes where the host can't; nil if it does.
	PIDs *PIDsGroup
	// Volunteer makes the program, not guestrd, the one to go when memory is short; nil if that can't be said.
	Volunteer func(more bool)
}

// InsideRun is a run of Inside.
type InsideRun struct {
	*Run
	in    *Inside
	child sandbox.Inside
	clock *clock
}

// Prepare begins the run. It returns at once; everything that happens is sent to w.
func (i *Inside) Prepare(n uint16, spec *guestproto.Job, w *guestproto.Writer) *InsideRun {
	run := &InsideRun{Run: newRun(&Runner{}, n, spec, w), in: i}
	go run.live()
	return run
}

// Kill ends the run; only the first call counts.
func (r *InsideRun) Kill(k guestproto.Kill) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kill != nil {
		return
	}
	r.kill = &k
	close(r.stop)
	r.input.close() // an unpacking that waits for more ends
	if r.started {
		killOthers()
	}
}

// live is the run, on a thread that loses its privileges on the way and ends with it.
func (r *InsideRun) live() {
	runtime.LockOSThread()
	r.done <- r.stages()
}

func (r *InsideRun) stages() error {
	err := r.prepare()
	if err == nil {
		err = r.waitForStart()
	}
	if err == nil {
		err = r.program()
	}
	if errors.Is(err, errOver) {
		return r.w.Send(r.n, &guestproto.Collected{})
	}
	if err != nil {
		return err
	}
	return r.collect()
}

func (r *InsideRun) prepare() error {
	begin := time.Now()
	if err := r.child.Enter(); err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	s := r.spec
	setup := sandbox.Setup{
		Argv: s.Argv, Rehearse: s.Rehearse, Env: s.Env, Cwd: s.Cwd, User: s.User, Names: r.in.Names,
		StdinPath: s.Stdin.Path, InputSize: s.Input.Size, InputRoot: s.Input.Root,
		OutputLimit: s.Limits.Output, Patterns: s.Output.Patterns,
	}
	theirs, err := r.pipes.open()
	if err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	var fds []int
	for _, t := range theirs {
		setup.FDs, fds = append(setup.FDs, t.role), append(fds, t.fd)
	}
	own := time.Since(begin)
	p, refused, err := r.child.Prepare(setup, fds)
	if err := r.stopped(refused, err); err != nil {
		return err
	}
	return r.w.Send(r.n, &guestproto.Staged{Bytes: p.Bytes, Entries: p.Entries, UnpackUS: p.UnpackUS, PrepareUS: p.SetupUS + own.Microseconds()})
}

// stopped tells the host of what keeps the program from starting: a kill, its own mistake, our fault.
func (r *InsideRun) stopped(refused *sandbox.Refused, err error) error {
	switch {
	case r.killed() != nil:
		return r.over(&guestproto.Exit{Signal: 9})
	case err != nil:
		return &Fault{guestproto.FaultJob, err}
	case refused != nil:
		return r.over(&guestproto.Exit{Code: refused.Code, NotStarted: true, Message: line(refused.Message)})
	}
	return nil
}

// over sends the Exit of a program that never ran. Its pipes end with this process.
func (r *InsideRun) over(exit *guestproto.Exit) error {
	r.input.close()
	r.stdin.close()
	r.blame(exit)
	if err := r.w.Send(r.n, exit); err != nil {
		return err
	}
	return errOver
}

func (r *InsideRun) waitForStart() error {
	select {
	case <-r.start:
		return nil
	case <-r.stop:
		return r.over(&guestproto.Exit{Signal: 9})
	}
}

// program runs it to its end, and to that of everything it started.
func (r *InsideRun) program() error {
	begin := time.Now()
	pid, refused, err := r.launch()
	if pid == 0 {
		return r.stopped(refused, err)
	}
	if err := r.w.Send(r.n, &guestproto.Started{SinceStartUS: time.Since(begin).Microseconds()}); err != nil {
		return err
	}
	r.clock = newClock(r.spec.Limits, r.in.PIDs)
	r.pipes.pump()
	exited, err := sandbox.Wait(pid)
	if err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	ended := time.Now()
	r.clock.stop()
	if err := reapAll(dying); err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	r.pipes.drain()
	exit := r.exit(exited)
	exit.ReapUS = time.Since(ended).Microseconds()
	return r.w.Send(r.n, exit)
}

// launch starts the program within its limits.
func (r *InsideRun) launch() (int, *sandbox.Refused, error) {
	if r.in.PIDs != nil {
		if err := r.in.PIDs.enter(r.spec.Limits.PIDs); err != nil {
			return 0, nil, err
		}
		defer r.in.PIDs.leave()
	}
	if r.in.Volunteer != nil {
		r.in.Volunteer(true)
		defer r.in.Volunteer(false)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kill != nil {
		return 0, nil, nil
	}
	r.started = true // from here on, a Kill kills what there is
	return r.child.Start()
}

func (r *InsideRun) exit(e *sandbox.Exited) *guestproto.Exit {
	exit := &guestproto.Exit{
		Code: e.Code, Signal: e.Signal, WallUS: time.Since(r.clock.begin).Microseconds(),
		StdoutTruncated: r.pipes.stdout.truncated.Load(),
		StderrTruncated: r.pipes.stderr.truncated.Load(),
		LimitsHit:       r.clock.hits(),
		Limit:           r.clock.ended(),
		Rusage: guestproto.Rusage{
			MaxRSS:      e.Usage.Maxrss * 1024,
			MinorFaults: e.Usage.Minflt, MajorFaults: e.Usage.Majflt,
			VoluntarySw: e.Usage.Nvcsw, InvoluntarySw: e.Usage.Nivcsw,
		},
	}
	var all unix.Rusage
	if unix.Getrusage(unix.RUSAGE_CHILDREN, &all) == nil {
		exit.Rusage.UserUS, exit.Rusage.SysUS = all.Utime.Nano()/1000, all.Stime.Nano()/1000
	}
	r.blame(exit)
	return exit
}

// collect packs the outputs, if they are wanted.
func (r *InsideRun) collect() error {
	if r.spec.Output.Via == guestproto.ViaNone {
		return r.w.Send(r.n, &guestproto.Collected{})
	}
	begin := time.Now()
	end, err := r.pipes.openOutput()
	if err != nil {
		return &Fault{guestproto.FaultOutput, err}
	}
	sent := make(chan error, 1)
	go func() { sent <- r.pipes.forwardOutput() }()
	c, err := r.child.Collect(end)
	if err := errors.Join(err, <-sent); err != nil {
		return &Fault{guestproto.FaultOutput, err}
	}
	m := &guestproto.Collected{Bytes: c.Bytes, Entries: c.Entries, Skipped: c.Skipped, SkippedPaths: c.Paths}
	if c.OverSize {
		m.Limit = guestproto.LimitOutput
	}
	m.PackUS = time.Since(begin).Microseconds()
	return r.w.Send(r.n, m)
}

// killOthers kills all of the PID namespace but this process, which is its first.
func killOthers() { _ = unix.Kill(-1, unix.SIGKILL) }

// reapAll kills what is left of the job and returns when it is gone: whatever loses its parent becomes ours.
func reapAll(patience time.Duration) error {
	for deadline := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		killOthers()
		for {
			pid, err := unix.Wait4(-1, nil, unix.WNOHANG, nil)
			if err == unix.ECHILD {
				return nil
			}
			if err != unix.EINTR && pid <= 0 {
				break
			}
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("kill the job's processes: some do not die within %s", patience)
		}
	}
}
