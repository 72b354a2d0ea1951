package coordinator

import (
	"time"

	"github.com/program-explorer/pe/schemas"
)

// hold is an attempt that an executor holds, as far as is known here.
type hold struct {
	schemas.Held
	// since is when this gateway learned of it, on its own clock.
	since time.Time
	// limit is how long it may be held.
	limit time.Duration
	// missed counts the heartbeats in a row that did not list it; lostAt is when it
	// was last given up for that, which takes a moment.
	missed int
	lostAt time.Time
	cancel bool
	// deadline is when the job must have ended, in microseconds since the Unix
	// epoch, or 0; told is set once the executor was told so.
	deadline int64
	told     bool
}

// maxMissed is how many heartbeats in a row may lack an attempt before it is
// lost. One may have left before the claim's answer arrived.
const maxMissed = 2

// maxForeign bounds what one heartbeat may have looked up, loseAgain how often a lost
// attempt is given up: whoever sends heartbeats may list and leave out what he likes.
const (
	maxForeign = 64
	loseAgain  = 10 * time.Second
)

// hold takes note of who holds a job; the lock is held.
func (s *state) hold(e *entry, rec *schemas.Record) {
	a := rec.Current()
	if before := e.holder(); before != "" && (a == nil || a.Executor != before) {
		delete(s.running[before], e.key)
		if len(s.running[before]) == 0 {
			delete(s.running, before)
		}
		e.more.holder = ""
	}
	if a == nil {
		return
	}
	of := s.running[a.Executor]
	if of == nil {
		of = map[string]*hold{}
		s.running[a.Executor] = of
	}
	h := of[e.key]
	if h == nil || h.Attempt != a.N {
		h = &hold{
			Held:  schemas.Held{Tenant: rec.Tenant, Job: rec.ID, Attempt: a.N},
			since: s.now(),
			limit: time.Duration(rec.WallMS) * time.Millisecond,

			deadline: rec.DeadlineUS,
		}
		of[e.key] = h
	}
	h.cancel = rec.Cancel
	e.have().holder = a.Executor
}

// heard compares a heartbeat with what the executor should hold. It returns
// the attempts that are lost, those that it holds and should end, and those
// that are listed and not known to be its own, up to maxForeign of them.
func (s *state) heard(executor string, beat schemas.Beat) (lost []schemas.Held, stop []schemas.Stop, foreign []schemas.Held) {
	listed := make(map[string]int, len(beat.Held))
	for _, h := range beat.Held {
		listed[schemas.RecordKey(h.Tenant, h.Job)] = h.Attempt
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	for key, h := range s.running[executor] {
		switch {
		case listed[key] == h.Attempt:
			h.missed = 0
			if reason := h.stop(now); reason != "" {
				stop = append(stop, schemas.Stop{Held: h.Held, Reason: reason})
			}
		default:
			if h.missed++; h.missed >= maxMissed && now.Sub(h.lostAt) > loseAgain {
				h.lostAt = now
				lost = append(lost, h.Held)
			}
		}
	}
	for _, h := range beat.Held {
		if len(foreign) == maxForeign {
			break
		}
		known := s.running[executor][schemas.RecordKey(h.Tenant, h.Job)]
		if known == nil || known.Attempt != h.Attempt {
			foreign = append(foreign, h)
		}
	}
	return lost, stop, foreign
}

// stop is why a held attempt should end, or nothing.
func (h *hold) stop(now time.Time) string {
	switch {
	case h.cancel:
		return reasonCancelled
	case h.deadline != 0 && now.UnixMicro() >= h.deadline:
		return reasonDeadline
	}
	return ""
}

// overran lists what is held past its deadline, each once: heartbeats tell it again.
func (s *state) overran(now time.Time) map[schemas.Held]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[schemas.Held]string{}
	for executor, of := range s.running {
		for _, h := range of {
			if !h.told && h.stop(now) == reasonDeadline {
				h.told = true
				all[h.Held] = executor
			}
		}
	}
	return all
}

// heldBy lists what an executor holds.
func (s *state) heldBy(executor string) []schemas.Held {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []schemas.Held
	for _, h := range s.running[executor] {
		all = append(all, h.Held)
	}
	return all
}

// holders lists all executors that hold something.
func (s *state) holders() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []string
	for executor := range s.running {
		all = append(all, executor)
	}
	return all
}

// overdue lists what is held for longer than its limit and overtime.
func (s *state) overdue(now time.Time, overtime time.Duration) map[schemas.Held]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := map[schemas.Held]string{}
	for executor, of := range s.running {
		for _, h := range of {
			if now.Sub(h.since) > h.limit+overtime {
				all[h.Held] = executor
			}
		}
	}
	return all
}
