//go:build linux

package oci

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/program-explorer/pe/executor/ocirun"
	"github.com/program-explorer/pe/executor/session"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

const (
	// look is how often the host reads what a machine has used: the precision of the cpu limit.
	look = 20 * time.Millisecond
	// Slack is what may be needed during a run beyond the job's memory and what there is at its start, in
	// bytes: by process 1, and by gVisor's kernel for its notes of the job's processes.
	containerSlack = 4 << 20
	gvisorSlack    = 32 << 20
	// processCost is what each of the host's threads costs that gVisor has for a job's processes, dead
	// ones included, in bytes: measured 240 KiB. It is no part of the job's memory.
	processCost = 256 << 10
	// gvisorThreads bounds them, besides those at the start.
	gvisorThreads = 2048
	// wallGrace is how long after the job's time the host's clock stops it, and endGrace how long process 1
	// may take to end a job. In a fork bomb of gVisor's it gets no time for either.
	wallGrace = 250 * time.Millisecond
	endGrace  = 2 * time.Second
	// lastMemory is given to a container whose job had all of its memory, so that its process 1 can
	// end it and pack what it left.
	lastMemory = 32 << 20
)

// run is one job in a guest, with the limits that are the host's.
type run struct {
	g      *guest
	limits guestproto.Limits
	base   ocirun.Usage // at the program's start
	begun  bool
	// allowed is the machine's memory limit now.
	allowed int64

	started time.Time
	last    ocirun.Usage // at its end
	over    sync.Once

	mu      sync.Mutex
	seen    []string
	ended   string // the limit for which the host ended it
	endedAt time.Time
	quit    chan struct{}
	gone    chan struct{}
}

// Run takes a job through the machine: as session.Run, with the host's limits. An error is the platform's failure.
func (g *guest) Run(ctx context.Context, q session.Request) (session.Outcome, error) {
	r := &run{g: g, limits: q.Job.Limits, quit: make(chan struct{}), gone: make(chan struct{})}
	if err := r.prepare(); err != nil {
		return session.Outcome{}, err
	}
	if q.Go != nil {
		return session.Outcome{}, errors.New("a job in a contained machine can't be held back")
	}
	start, staged := make(chan struct{}), q.Staged
	q.Go, q.Staged = start, func(at time.Time) {
		if staged != nil {
			staged(at)
		}
		r.begin()
		close(start)
	}
	// What comes after the program's end is not the job's: no limit is for it.
	exited := q.Exited
	q.Exited = func(at time.Time) {
		r.stop()
		if exited != nil {
			exited(at)
		}
	}
	out, err := g.session.Run(ctx, q)
	r.stop()
	return r.verdict(out, err)
}

// Kill ends the run.
func (g *guest) Kill(reason, limit string) { g.session.Kill(reason, limit) }

// prepare sets what is known before the inputs come: they are no part of the job's memory, but of its scratch.
func (r *run) prepare() error {
	held := r.g.machine.Usage().Held
	l := ocirun.Limits{ScratchBytes: r.limits.Scratch, CPUsMilli: r.limits.CPUsMilli}
	if r.limits.Memory > 0 {
		l.MemoryBytes = held + r.limits.Memory + r.limits.Scratch + r.slack()
	}
	return r.g.machine.Limit(l)
}

// begin sets the job's limits beside what the machine has by now, and watches.
func (r *run) begin() {
	r.base = r.g.machine.Usage()
	var l ocirun.Limits
	if r.limits.Memory > 0 {
		l.MemoryBytes = r.base.Held + r.limits.Memory + r.slack()
	}
	if r.guestCountsPIDs() {
		l.PIDs = r.base.PIDs + gvisorThreads
	} else if r.limits.PIDs > 0 {
		l.PIDs = r.base.PIDs + r.limits.PIDs
	}
	r.allowed = l.MemoryBytes
	if err := r.g.machine.Limit(l); err != nil {
		r.g.runner.cfg.Log.Error("a job's limits could not be set", "err", err)
		_ = r.g.machine.Kill() // the session will tell of its death
	}
	r.begun, r.started = true, time.Now()
	go r.watch()
}

func (r *run) slack() int64 {
	if r.g.runner.cfg.Kind == schemas.IsolationGVisor {
		return gvisorSlack
	}
	return containerSlack
}

func (r *run) guestCountsPIDs() bool {
	return slices.Contains(r.g.ready.Enforces, guestproto.LimitPIDs)
}

// verdict adds to the guest's word what the host has seen. A machine that the kernel killed for its
// memory has ended as its job did: by the limit.
func (r *run) verdict(out session.Outcome, err error) (session.Outcome, error) {
	u := r.last
	if u.ScratchFull {
		r.note(guestproto.LimitScratch)
	}
	if u.PIDsHit > r.base.PIDsHit {
		r.note(guestproto.LimitPIDs)
	}
	oom := u.OOMKills > r.base.OOMKills
	if oom {
		r.note(guestproto.LimitMemory)
	}
	if err != nil {
		var guest *session.GuestError
		threads := r.guestCountsPIDs() && u.PIDsHit > r.base.PIDsHit
		if !oom && !threads && !r.overdue() || !r.begun || !errors.As(err, &guest) || guest.Kind == session.Lied {
			return out, err
		}
		now := time.Now()
		if out.StartedAt.IsZero() {
			out.StartedAt = r.started // its word of that was not heard
		}
		out.Exit = guestproto.Exit{Signal: 9, WallUS: now.Sub(out.StartedAt).Microseconds()}
		switch {
		case r.ended != "":
			out.Exit.Limit = r.ended
		case oom:
			out.Exit.Limit = guestproto.LimitMemory
		default:
			out.Exit.Limit = guestproto.LimitPIDs // gVisor's kernel ended when it could have no more threads
		}
		r.note(out.Exit.Limit)
		out.Collected = guestproto.Collected{}
		out.ExitAt, out.CollectedAt = now, now
	}
	e := &out.Exit
	if r.ended != "" && e.Limit == r.ended {
		e.Killed, e.Message = false, "" // the host's way of enforcing a limit
	}
	if oom {
		// The kernel picks one process; the job ends as a whole, at once or a moment later.
		e.Code, e.Signal = 0, 9
		if e.Limit == "" {
			e.Limit = guestproto.LimitMemory
		}
	}
	e.LimitsHit = merged(e.LimitsHit, r.seen)
	if !out.StartedAt.IsZero() {
		e.Rusage.UserUS, e.Rusage.SysUS = shared(u.CPU-r.base.CPU, u.User-r.base.User, u.System-r.base.System)
		e.Rusage.MemoryPeak = max(0, u.Peak-r.base.Held)
	}
	return out, nil
}

// shared splits processor time, which is counted exactly, as samples of both modes say: those are coarse.
// The results are in microseconds.
func shared(all, user, system time.Duration) (userUS, systemUS int64) {
	if user+system <= 0 {
		return all.Microseconds(), 0
	}
	ofUser := time.Duration(float64(all) * float64(user) / float64(user+system))
	return ofUser.Microseconds(), (all - ofUser).Microseconds()
}

// merged is the union of two sorted sets.
func merged(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	if all = slices.Compact(all); len(all) == 0 {
		return nil
	}
	return all
}
