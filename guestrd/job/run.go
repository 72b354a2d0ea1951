package job

import (
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/program-explorer/pe/guestrd/sandbox"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// dying is how long killed processes may take to disappear.
const dying = 10 * time.Second

// Run is one run of a job. Its methods are called by the reader of the host's frames and
// never wait for the program.
type Run struct {
	runner *Runner
	n      uint16
	spec   *guestproto.Job
	w      *guestproto.Writer

	input *inbox // bytes of the input tar
	stdin *inbox // bytes of stdin
	start chan struct{}
	stop  chan struct{} // closed by Kill
	done  chan error

	process *process
	pipes   pipes
	watch   *watch

	mu      sync.Mutex
	kill    *guestproto.Kill
	started bool
}

func newRun(r *Runner, n uint16, spec *guestproto.Job, w *guestproto.Writer) *Run {
	run := &Run{
		runner: r, n: n, spec: spec, w: w,
		input: newInbox(nil),
		stdin: newInbox(func(total int64) { w.Send(n, &guestproto.StdinTaken{Total: total}) }),
		start: make(chan struct{}), stop: make(chan struct{}), done: make(chan error, 1),
	}
	run.pipes.run, run.pipes.over = run, make(chan struct{})
	return run
}

// Done yields once, when the run is over: nil, or the platform's fault as *Fault.
func (r *Run) Done() <-chan error { return r.done }

// Start lets the program go as soon as it is prepared. It is called at most once.
func (r *Run) Start() { close(r.start) }

// Fault is the platform's failure at one stage of a run.
type Fault struct {
	// Code is one of guestproto's Fault codes.
	Code string
	Err  error
}

func (f *Fault) Error() string { return f.Err.Error() }

// FaultCode says at which stage.
func (f *Fault) FaultCode() string { return f.Code }
func (f *Fault) Unwrap() error     { return f.Err }

// Kill ends the run; only the first call counts.
func (r *Run) Kill(k guestproto.Kill) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.kill != nil {
		return
	}
	r.kill = &k
	close(r.stop)
	if r.process == nil {
		return
	}
	if r.started {
		r.process.cgroup.killMain()
	} else {
		r.process.cgroup.killAll()
	}
}

func (r *Run) killed() *guestproto.Kill {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.kill
}

// live is the run, from beginning to end.
func (r *Run) live() {
	err := r.stages()
	if r.process != nil {
		r.process.kill()
		r.pipes.drain()
	}
	r.pipes.close()
	if err == nil {
		r.runner.ended(r.process.layer)
	}
	r.done <- err
}

// errOver ends the stages early: the program never ran, and that has been said.
var errOver = errors.New("the run is over")

func (r *Run) stages() error {
	err := r.prepare()
	if err == nil {
		err = r.waitForStart()
	}
	var exit *guestproto.Exit
	if err == nil {
		exit, err = r.program()
	}
	if err == nil {
		err = r.w.Send(r.n, exit)
	}
	if errors.Is(err, errOver) {
		return r.w.Send(r.n, &guestproto.Collected{})
	}
	if err != nil {
		return err
	}
	return r.collect()
}

// prepare gives the layer its size, makes cgroup limits and pipes, and has the child set itself up.
func (r *Run) prepare() error {
	begin := time.Now()
	process, names, err := r.runner.take()
	if err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	r.mu.Lock()
	r.process = process
	r.mu.Unlock()
	if err := r.process.cgroup.limit(r.spec.Limits); err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	if err := r.process.layer.resize(r.spec.Limits.Scratch); err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	if err := r.process.staged(); err != nil {
		if r.killed() != nil {
			return r.over(&guestproto.Exit{Signal: 9})
		}
		return &Fault{guestproto.FaultJob, err}
	}
	if err := r.sendSetup(names); err != nil {
		return err
	}
	own := time.Since(begin)
	report, err := r.report(guestproto.FaultJob)
	if err != nil {
		return err
	}
	if report.Prepared == nil {
		return &Fault{guestproto.FaultJob, errors.New("child: unexpected report")}
	}
	p := report.Prepared
	return r.w.Send(r.n, &guestproto.Staged{Bytes: p.Bytes, Entries: p.Entries, UnpackUS: p.UnpackUS, PrepareUS: p.SetupUS + own.Microseconds()})
}

func (r *Run) sendSetup(names sandbox.Names) error {
	s := r.spec
	setup := &sandbox.Setup{
		Argv: s.Argv, Rehearse: s.Rehearse, Env: s.Env, Cwd: s.Cwd, User: s.User, Names: names,
		StdinPath: s.Stdin.Path, InputSize: s.Input.Size, InputRoot: s.Input.Root, ShmSize: s.Limits.Scratch,
		OutputLimit: s.Limits.Output, Patterns: s.Output.Patterns,
	}
	fds := []int{r.process.cgroup.mainFD}
	setup.FDs = []string{sandbox.FDCgroup}
	theirs, err := r.pipes.open()
	if err != nil {
		return &Fault{guestproto.FaultJob, err}
	}
	for _, t := range theirs {
		setup.FDs = append(setup.FDs, t.role)
		fds = append(fds, t.fd)
	}
	err = sandbox.Send(r.process.control, sandbox.Order{Setup: setup}, fds...)
	for _, t := range theirs {
		closeFD(t.fd)
	}
	if err != nil && r.killed() == nil {
		return &Fault{guestproto.FaultJob, err}
	}
	return nil
}

// report waits for the child's next word. A refusal or a kill is passed on as the job's Exit, with errOver.
func (r *Run) report(code string) (*sandbox.Report, error) {
	var report sandbox.Report
	_, err := sandbox.Receive(r.process.control, &report)
	switch {
	case err != nil && r.killed() != nil:
		return nil, r.over(&guestproto.Exit{Signal: 9})
	case errors.Is(err, io.EOF):
		return nil, &Fault{code, errors.New("child died")}
	case err != nil:
		return nil, &Fault{code, err}
	case report.Failed != "":
		return nil, &Fault{code, errors.New(report.Failed)}
	case report.Refused != nil:
		exit := &guestproto.Exit{Code: report.Refused.Code, NotStarted: true, Message: line(report.Refused.Message)}
		if r.process.layer.full() {
			exit.LimitsHit = []string{guestproto.LimitScratch}
		}
		return nil, r.over(exit)
	}
	return &report, nil
}

// over sends the Exit of a program that never ran. Nothing of the run may follow but Collected.
func (r *Run) over(exit *guestproto.Exit) error {
	r.process.kill()
	r.pipes.drain()
	r.blame(exit)
	if err := r.w.Send(r.n, exit); err != nil {
		return err
	}
	return errOver
}

// blame enters the host's Kill.
func (r *Run) blame(exit *guestproto.Exit) {
	k := r.killed()
	if k == nil {
		return
	}
	exit.Killed, exit.Message = true, line(k.Reason)
	if k.Limit != "" {
		exit.Limit = k.Limit
		exit.LimitsHit = withLimit(exit.LimitsHit, k.Limit)
	}
}

// waitForStart returns when the host wants the program to go, or kills it.
func (r *Run) waitForStart() error {
	select {
	case <-r.start:
		return nil
	case <-r.stop:
		return r.over(&guestproto.Exit{Signal: 9})
	}
}

// program runs it to its end, and to that of everything it started.
func (r *Run) program() (*guestproto.Exit, error) {
	begin := time.Now()
	if err := sandbox.Send(r.process.control, sandbox.Order{Start: true}); err != nil && r.killed() == nil {
		return nil, &Fault{guestproto.FaultJob, err}
	}
	if _, err := r.report(guestproto.FaultJob); err != nil {
		return nil, err
	}
	r.watch = newWatch(r)
	if err := r.w.Send(r.n, &guestproto.Started{SinceStartUS: time.Since(begin).Microseconds()}); err != nil {
		return nil, err
	}
	go r.watch.run()
	r.pipes.pump()
	var report sandbox.Report
	_, err := sandbox.Receive(r.process.control, &report)
	ended := time.Now()
	r.watch.stop()
	if err == nil && report.Exited == nil {
		err = errors.New("child: unexpected report")
	}
	if err != nil {
		return nil, &Fault{guestproto.FaultJob, fmt.Errorf("wait for program: %w", err)}
	}
	if err := r.process.cgroup.empty(dying); err != nil {
		return nil, &Fault{guestproto.FaultJob, err}
	}
	r.pipes.drain()
	exit := r.exit(report.Exited)
	exit.ReapUS = time.Since(ended).Microseconds()
	return exit, nil
}

// collect has the child pack the outputs, if there are any.
func (r *Run) collect() error {
	begin := time.Now()
	if r.spec.Output.Via == guestproto.ViaNone || r.process.hasNone("output") {
		return r.w.Send(r.n, &guestproto.Collected{})
	}
	end, err := r.pipes.openOutput()
	if err != nil {
		return &Fault{guestproto.FaultOutput, err}
	}
	err = sandbox.Send(r.process.control, sandbox.Order{Collect: true}, end)
	closeFD(end)
	if err != nil {
		return &Fault{guestproto.FaultOutput, err}
	}
	if err := r.pipes.forwardOutput(); err != nil {
		return &Fault{guestproto.FaultOutput, err}
	}
	var report sandbox.Report
	_, err = sandbox.Receive(r.process.control, &report)
	if err == nil && report.Failed != "" {
		err = errors.New(report.Failed)
	}
	if err == nil && report.Collected == nil {
		err = errors.New("child: unexpected report")
	}
	if err != nil {
		return &Fault{guestproto.FaultOutput, err}
	}
	c := report.Collected
	m := &guestproto.Collected{Bytes: c.Bytes, Entries: c.Entries, Skipped: c.Skipped, SkippedPaths: c.Paths}
	if c.OverSize {
		m.Limit = guestproto.LimitOutput
	}
	m.PackUS = time.Since(begin).Microseconds()
	return r.w.Send(r.n, m)
}
