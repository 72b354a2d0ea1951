//go:build linux

package oci

import (
	"slices"
	"time"

	"github.com/program-explorer/pe/executor/ocirun"
	"github.com/program-explorer/pe/schemas"
	"github.com/program-explorer/pe/schemas/guestproto"
)

// watch looks at the machine until the run is stopped.
func (r *run) watch() {
	defer close(r.gone)
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for {
		select {
		case <-r.quit:
			return
		case <-ticker.C:
			r.look(r.g.machine.Usage())
		}
	}
}

// look notes limits that were hit, and ends the job for those that end one.
func (r *run) look(u ocirun.Usage) {
	if u.ScratchFull {
		r.note(guestproto.LimitScratch)
	}
	if u.PIDsHit > r.base.PIDsHit {
		r.note(guestproto.LimitPIDs)
	}
	if r.limits.CPUMS > 0 && u.CPU-r.base.CPU >= time.Duration(r.limits.CPUMS)*time.Millisecond {
		r.end(guestproto.LimitCPU)
	}
	if u.OOMKills > r.base.OOMKills {
		r.end(guestproto.LimitMemory)
	}
	if time.Since(r.started) > time.Duration(r.limits.WallMS)*time.Millisecond+wallGrace {
		r.end(guestproto.LimitWall)
	}
	if r.guestCountsPIDs() {
		r.lookAtThreads(u)
	}
	if r.overdue() {
		_ = r.g.machine.Kill() // process 1 does not get to do what it was told
	}
}

// overdue says that the job should have ended by now.
func (r *run) overdue() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ended != "" && time.Since(r.endedAt) > endGrace
}

// lookAtThreads notes a fork bomb, and gives gVisor the memory for the threads that it has by now.
func (r *run) lookAtThreads(u ocirun.Usage) {
	threads := u.PIDs - r.base.PIDs
	if r.limits.PIDs > 0 && threads > 4*r.limits.PIDs+64 {
		r.note(guestproto.LimitPIDs) // gVisor's count is late, or the guest gets no time to read it
	}
	if r.limits.Memory > 0 {
		r.allowThreads(threads)
	}
}

func (r *run) allowThreads(threads int64) {
	want := r.base.Held + r.limits.Memory + r.slack() + threads*processCost
	if want <= r.allowed || r.g.machine.Limit(ocirun.Limits{MemoryBytes: want}) != nil {
		return
	}
	r.allowed = want
}

// end ends the job once, for the first limit.
func (r *run) end(limit string) {
	r.note(limit)
	r.mu.Lock()
	first := r.ended == ""
	if first {
		r.ended, r.endedAt = limit, time.Now()
	}
	r.mu.Unlock()
	if !first {
		return
	}
	if limit == guestproto.LimitMemory {
		if r.g.runner.cfg.Kind == schemas.IsolationGVisor {
			_ = r.g.machine.Kill() // one of its processes is dead, and the rest hangs
			return
		}
		_ = r.g.machine.Limit(ocirun.Limits{MemoryBytes: r.base.Held + r.limits.Memory + r.slack() + lastMemory})
	}
	go r.g.session.Kill("", limit)
}

func (r *run) note(limit string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if at, found := slices.BinarySearch(r.seen, limit); !found {
		r.seen = slices.Insert(r.seen, at, limit)
	}
}

// stop ends the watch, and notes what was used until then. It may be called again.
func (r *run) stop() {
	r.over.Do(func() {
		if r.begun {
			close(r.quit)
			<-r.gone
		}
		r.last = r.g.machine.Usage()
	})
}
