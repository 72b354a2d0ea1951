package session

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/program-explorer/pe/schemas/guestproto"
)

// Request is one run of a job.
type Request struct {
	Job *guestproto.Job
	// Input is the input tar, with Job.Input.Via channel.
	Input io.Reader
	// Stdin is the program's, with Job.Stdin.Via channel. A Read that blocks holds up
	// nothing but itself; it may outlive Run.
	Stdin io.Reader
	// Go lets the prepared program start when it is closed. Nil: at once.
	Go <-chan struct{}
	// Staged, Started and Exited, if set, are told when that was.
	Staged, Started, Exited func(time.Time)
	// Stdout and Stderr, if set, get what the program writes; the bytes are theirs only during the call.
	Stdout, Stderr func([]byte)
	// Output gets the output tar, with Job.Output.Via channel. Its errors end the run.
	Output io.Writer
	// OutputMax bounds the output tar in bytes. Default: Job.Limits.Output and an eighth of it and
	// 64 MiB for headers. A longer tar is a lie: the guest has to keep to Job.Limits.Output.
	OutputMax int64
}

// Outcome is how a run went, by the guest's word and the host's clock.
type Outcome struct {
	Exit      guestproto.Exit
	Collected guestproto.Collected
	// GuestStaged and GuestStarted hold the guest's durations; zero if it did not get there.
	GuestStaged  guestproto.Staged
	GuestStarted guestproto.Started
	// Instants on the host's clock; zero if it did not get there.
	SentAt, StagedAt, StartedAt, ExitAt, CollectedAt time.Time
	// StdoutBytes and StderrBytes are what came.
	StdoutBytes, StderrBytes int64
}

// Run runs a job to its end. An error is always the platform's: the guest's *GuestError,
// ctx's cause, or one of Request's readers and writers.
func (s *Session) Run(ctx context.Context, q Request) (Outcome, error) {
	if err := q.Job.Validate(); err != nil {
		return Outcome{}, fmt.Errorf("run job: %w", err)
	}
	a := newAttempt(s, q)
	stop := context.AfterFunc(ctx, func() { s.fail(context.Cause(ctx)) })
	defer stop()
	defer a.finish()
	// First: a guest that reads nothing holds up even this.
	a.deadline(s.o.Reply+a.transferTime(q.Job.Input.Size), "the job was not staged")
	if err := s.w.Send(a.n, q.Job); err != nil {
		return a.out, s.reason(classify(err))
	}
	a.out.SentAt = time.Now()
	go a.send()
	for {
		over, err := a.step()
		if err != nil || over {
			return a.out, err
		}
	}
}

// Kill ends the current run: its Outcome comes with Exit.Killed. Limit, if not empty, is
// named as the limit that ended it. Without a run it does nothing.
func (s *Session) Kill(reason, limit string) {
	s.mu.Lock()
	arm, n := s.killed, s.run
	s.mu.Unlock()
	if arm == nil {
		return
	}
	arm() // first: the guest may be so stuck that even this can't be sent
	_ = s.w.Send(n, &guestproto.Kill{Reason: reason, Limit: limit})
}

// state of an attempt, in order.
type state int

const (
	staging state = iota
	prepared
	running
	collecting
)

// attempt is a run in progress.
type attempt struct {
	s     *Session
	q     Request
	n     uint16
	state state
	out   Outcome
	timer *time.Timer
	done  bool // no deadline counts any more

	over   chan struct{} // closed by finish
	sent   chan struct{} // closed when send has returned
	window *window
	budget budget
	output int64
}

func newAttempt(s *Session, q Request) *attempt {
	if q.OutputMax <= 0 {
		q.OutputMax = q.Job.Limits.Output + q.Job.Limits.Output/8 + 64<<20
	}
	a := &attempt{s: s, q: q, over: make(chan struct{}), sent: make(chan struct{}), window: newWindow(), budget: newBudget()}
	a.timer = time.AfterFunc(time.Hour, func() {})
	s.mu.Lock()
	s.run++
	a.n = s.run
	s.killed = func() { a.deadline(s.o.Dying, "a killed job did not end") }
	s.mu.Unlock()
	return a
}

// deadline replaces the one before. When it passes, the session is closed.
func (a *attempt) deadline(after time.Duration, what string) {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	if a.done {
		return
	}
	a.timer.Stop()
	a.timer = time.AfterFunc(after, func() {
		a.s.fail(&GuestError{Kind: Hung, Err: fmt.Errorf("%s within %s", what, after)})
	})
}

// wallDeadline is the host's own clock on the job: it asks the guest to kill it, and gives up on the guest a little later.
func (a *attempt) wallDeadline() {
	a.s.mu.Lock()
	defer a.s.mu.Unlock()
	a.timer.Stop()
	wall := time.Duration(a.q.Job.Limits.WallMS) * time.Millisecond
	a.timer = time.AfterFunc(wall+a.s.o.Grace, func() {
		a.s.Kill("the host's clock stopped the job", guestproto.LimitWall)
	})
}

func (a *attempt) transferTime(bytes int64) time.Duration {
	return time.Duration(bytes/a.s.o.Transfer) * time.Second
}

// finish stops what the attempt has started.
func (a *attempt) finish() {
	a.s.mu.Lock()
	a.s.killed = nil
	a.done = true
	a.timer.Stop()
	a.s.mu.Unlock()
	close(a.over)
	a.window.close()
}

// step takes one frame. It says whether the run is over.
func (a *attempt) step() (bool, error) {
	f, err := a.s.receive()
	if err != nil {
		return false, err
	}
	if f.Run != a.n {
		return false, a.s.fail(unexpected(f))
	}
	if err := a.budget.spend(len(f.Body)); err != nil {
		return false, a.s.fail(&GuestError{Kind: Lied, Err: err})
	}
	if f.Type.IsData() {
		err = a.data(f)
	} else {
		err = a.message(f)
	}
	if err != nil {
		return false, a.s.fail(err)
	}
	return f.Type == guestproto.TypeCollected, nil
}

// data takes program and archive bytes, within the limits that the guest has to keep.
func (a *attempt) data(f guestproto.Frame) error {
	size := int64(len(f.Body))
	switch {
	case f.Type == guestproto.TypeStdout && a.state == running:
		return a.log(&a.out.StdoutBytes, a.q.Stdout, f)
	case f.Type == guestproto.TypeStderr && a.state == running:
		return a.log(&a.out.StderrBytes, a.q.Stderr, f)
	case f.Type == guestproto.TypeOutput && a.state == collecting && a.q.Job.Output.Via == guestproto.ViaChannel:
		if a.output += size; a.output > a.q.OutputMax {
			return &GuestError{Kind: Lied, Err: fmt.Errorf("more than %d bytes of outputs", a.q.OutputMax)}
		}
		if a.q.Output == nil {
			return nil
		}
		if _, err := a.q.Output.Write(f.Body); err != nil {
			return fmt.Errorf("write outputs: %w", err)
		}
		return nil
	}
	return unexpected(f)
}

func (a *attempt) log(total *int64, to func([]byte), f guestproto.Frame) error {
	if *total += int64(len(f.Body)); *total > a.q.Job.Limits.Log {
		return &GuestError{Kind: Lied, Err: fmt.Errorf("more than %d bytes of %s", a.q.Job.Limits.Log, f.Type)}
	}
	if to != nil {
		to(f.Body)
	}
	return nil
}

// message takes what moves the run along; each comes in its state only.
func (a *attempt) message(f guestproto.Frame) error {
	m, err := guestproto.Decode(f)
	if err != nil {
		return classify(err)
	}
	now := time.Now()
	switch m := m.(type) {
	case *guestproto.Staged:
		return a.staged(m, now)
	case *guestproto.Started:
		return a.started(m, now)
	case *guestproto.StdinTaken:
		if a.state == collecting || !a.window.open(m.Total) {
			return unexpected(f)
		}
		return nil
	case *guestproto.Exit:
		return a.exited(m, now)
	case *guestproto.Collected:
		return a.collected(m, now)
	}
	return unexpected(f)
}

func (a *attempt) staged(m *guestproto.Staged, now time.Time) error {
	if a.state != staging {
		return &GuestError{Kind: Lied, Err: errors.New("staged: unexpected")}
	}
	a.state, a.out.GuestStaged, a.out.StagedAt = prepared, *m, now
	if a.q.Go == nil {
		a.deadline(a.s.o.Reply, "the program was not started")
	} else {
		a.s.mu.Lock()
		a.timer.Stop() // the host is the one to wait for; send arms it again
		a.s.mu.Unlock()
	}
	if a.q.Staged != nil {
		a.q.Staged(now)
	}
	return nil
}

func (a *attempt) started(m *guestproto.Started, now time.Time) error {
	if a.state != prepared {
		return &GuestError{Kind: Lied, Err: errors.New("started: unexpected")}
	}
	a.state, a.out.GuestStarted, a.out.StartedAt = running, *m, now
	a.wallDeadline()
	if a.q.Started != nil {
		a.q.Started(now)
	}
	return nil
}

func (a *attempt) exited(m *guestproto.Exit, now time.Time) error {
	ran := a.state == running
	if a.state == collecting || !ran && !m.NotStarted && !m.Killed || ran && m.NotStarted {
		return &GuestError{Kind: Lied, Err: errors.New("exit: unexpected")}
	}
	a.state, a.out.Exit, a.out.ExitAt = collecting, *m, now
	a.deadline(a.s.o.Reply+a.transferTime(a.q.OutputMax), "the outputs were not packed")
	if a.q.Exited != nil {
		a.q.Exited(now)
	}
	return nil
}

func (a *attempt) collected(m *guestproto.Collected, now time.Time) error {
	if a.state != collecting {
		return &GuestError{Kind: Lied, Err: errors.New("collected: unexpected")}
	}
	if a.q.Job.Output.Via == guestproto.ViaChannel && m.Bytes != a.output || m.Bytes > a.q.OutputMax {
		return &GuestError{Kind: Lied, Err: fmt.Errorf("collected %d bytes of outputs, %d came", m.Bytes, a.output)}
	}
	a.out.Collected, a.out.CollectedAt = *m, now
	return nil
}
