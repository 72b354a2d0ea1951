package check

// ends are the states in which a job has ended.
var ends = map[string]bool{"succeeded": true, "failed": true, "cancelled": true, "expired": true, "dead": true}

// steps are those that a record may take from one write to the next. Only a
// person takes a job from dead to queued.
var steps = map[string][]string{
	"":        {"queued", "succeeded", "failed"}, // a cached result is there at once
	"queued":  {"queued", "running", "cancelled", "expired", "dead", "succeeded", "failed"},
	"running": {"running", "queued", "succeeded", "failed", "cancelled", "expired", "dead"},
	"dead":    {"queued"},
}

// reachable closes steps: writes may have been missed between two that were seen.
var reachable = func() map[string]map[string]bool {
	all := map[string]map[string]bool{}
	var walk func(from, at string)
	walk = func(from, at string) {
		for _, next := range steps[at] {
			if next == "queued" && at == "dead" || all[from][next] {
				continue
			}
			all[from][next] = true
			walk(from, next)
		}
	}
	for from := range steps {
		all[from] = map[string]bool{}
		walk(from, from)
	}
	return all
}()

// lives: every job's record went a way that it may go.
func (c *checker) lives() {
	names := map[JobName]bool{}
	for name := range c.final {
		names[name] = true
	}
	for name := range c.revisions {
		names[name] = true
	}
	for name := range names {
		c.life(name)
	}
}

func (c *checker) life(name JobName) {
	back := c.retried[name]
	var last *Record
	for _, rev := range c.revisions[name] {
		if rev.Deleted || rev.Record == nil {
			last = nil // a record that was removed may be made anew under its idempotency key
			continue
		}
		c.step(name, last, rev.Record, &back)
		last = rev.Record
	}
	if final, there := c.final[name]; there {
		c.step(name, last, &final, &back)
		c.outcome(name, &final)
	}
}

// step compares a record with the one seen before it.
func (c *checker) step(name JobName, was, is *Record, back *int) {
	from := ""
	if was != nil {
		from = was.State
		c.attempts(name, was.Attempts, is.Attempts)
	}
	switch {
	case ends[from] && is.State == from:
		if was.EndedUS != is.EndedUS && *back == 0 {
			c.report(RuleTwoEnds, name, "%s at %d, and again at %d", is.State, was.EndedUS, is.EndedUS)
		}
	case from == "dead" && *back > 0:
		*back--
	case ends[from] && ends[is.State]:
		c.report(RuleTwoEnds, name, "%s, and then %s", from, is.State)
	case !reachable[from][is.State]:
		c.report(RuleTransition, name, "from %q to %q", from, is.State)
	}
}

// attempts: numbers rise one by one, and what an attempt was it stays. Old ones
// may have been left out of a record, from the front.
func (c *checker) attempts(name JobName, was, is []Attempt) {
	now := map[int]Attempt{}
	for i, a := range is {
		if i > 0 && a.N != is[i-1].N+1 {
			c.report(RuleAttempts, name, "attempt %d follows %d", a.N, is[i-1].N)
		}
		now[a.N] = a
	}
	for _, a := range was {
		b, there := now[a.N]
		switch {
		case !there && (len(is) == 0 || a.N > is[0].N):
			c.report(RuleAttempts, name, "attempt %d of %s has vanished", a.N, a.Executor)
		case there && (a.Executor != b.Executor || a.Nonce != b.Nonce):
			c.report(RuleAttempts, name, "attempt %d was of %s and is of %s", a.N, a.Executor, b.Executor)
		case there && a.EndedUS != 0 && a.EndedUS != b.EndedUS:
			c.report(RuleAttempts, name, "attempt %d ended twice", a.N)
		}
	}
}

// outcome: exactly the last attempt of a job with an outcome was accepted.
func (c *checker) outcome(name JobName, r *Record) {
	if r.State != "succeeded" && r.State != "failed" {
		if r.Outcome != nil {
			c.report(RuleAccepted, name, "is %s and has an outcome", r.State)
		}
		return
	}
	if r.Outcome == nil {
		c.report(RuleAccepted, name, "is %s and has no outcome", r.State)
		return
	}
	if good := r.Outcome.ExitCode == 0 && r.Outcome.Signal == "" && r.Outcome.Limit == ""; good != (r.State == "succeeded") {
		c.report(RuleAccepted, name, "is %s with exit code %d, signal %q, limit %q", r.State, r.Outcome.ExitCode, r.Outcome.Signal, r.Outcome.Limit)
	}
	if r.Source != nil {
		return // another job's
	}
	accepted := 0
	for _, a := range r.Attempts {
		if a.EndedUS != 0 && len(a.Failure) == 0 {
			accepted++
		}
	}
	if last := len(r.Attempts) - 1; accepted != 1 || last < 0 || len(r.Attempts[last].Failure) != 0 {
		c.report(RuleAccepted, name, "%d of %d attempts ended without a failure; exactly the last should", accepted, len(r.Attempts))
	}
}
