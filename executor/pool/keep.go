package pool

import (
	"slices"
	"time"
)

const (
	// pollEvery is how often pressure is asked for, and what no call tells of is looked after.
	pollEvery = time.Second
	// restAfter is how long nothing is made after pressure has gone: what is made at
	// once would only bring it back.
	restAfter = 30 * time.Second
)

// keep looks after the pool until it has been drained.
func (p *Pool[M]) keep() {
	defer close(p.done)
	ticks := time.NewTicker(pollEvery)
	ticks.Stop()
	ticking := false
	for {
		tick := false
		select {
		case <-p.wake:
		case <-ticks.C:
			tick = true
		}
		kinds, closed := p.step(tick)
		switch {
		case closed && kinds == 0:
			ticks.Stop()
			p.work.Wait()
			return
		case kinds == 0:
			ticks.Stop()
		case !ticking:
			ticks.Reset(pollEvery)
		}
		ticking = kinds > 0
	}
}

// step brings the pool nearer to what it should be, and returns how many kinds
// there are, ended ones included, and if the pool is closed.
func (p *Pool[M]) step(tick bool) (kinds int, closed bool) {
	polled := p.poll(tick)
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	for _, k := range p.all {
		p.bury(k, now)
		p.expire(k, now)
	}
	missing := p.balance(now, polled)
	p.start(missing, now)
	p.letGo()
	return len(p.all), p.closed
}

// poll asks for pressure at each tick, and where a kind comes after a time without ticks.
func (p *Pool[M]) poll(tick bool) bool {
	p.mu.Lock()
	due := p.cfg.Pressure != nil && len(p.all) > 0 && (tick || time.Since(p.polled) >= pollEvery)
	p.mu.Unlock()
	if !due {
		return false
	}
	pressed := p.cfg.Pressure() // not under our lock: it is not our code
	p.mu.Lock()
	defer p.mu.Unlock()
	if pressed != p.pressed {
		p.cfg.Log.Info("pressure on the host's memory", "pressed", pressed)
	}
	p.pressed, p.polled = pressed, time.Now()
	if pressed {
		p.rest = p.polled.Add(restAfter)
	}
	return true
}

func (p *Pool[M]) resting(now time.Time) bool { return now.Before(p.rest) }

// expire ends a kind's oldest machine if it is too old. One at a time, when the
// kind has all that it may have: the next goes when this one's successor is there.
func (p *Pool[M]) expire(k *kind[M], now time.Time) {
	if len(k.waiting) == 0 || len(k.making) > 0 || len(k.waiting) < k.allowed {
		return
	}
	if now.Sub(k.waiting[0].since) < p.cfg.MaxAge || p.pressed || p.resting(now) || k.failures > 0 {
		return
	}
	w := k.pop()
	p.end(k, w.machine, w.bytes, endAged)
}

// balance ends what there is too much of, and returns what is missing, the most
// urgent first.
func (p *Pool[M]) balance(now time.Time, polled bool) []claim {
	kinds := make([]wanted, len(p.all))
	have := 0
	for i, k := range p.all {
		kinds[i] = k.wanted(now, p.cfg.Idle)
		k.target = kinds[i].target
		have += len(kinds[i].held)
		if p.pressed || p.resting(now) {
			kinds[i].target = min(k.target, len(kinds[i].held))
		}
	}
	counts, missing := admit(p.cfg.Budget, kinds, claims(kinds))
	why := endCold
	if p.pressed && polled {
		counts = retreat(kinds, (have+3)/4)
	}
	for i, k := range p.all {
		if p.pressed {
			counts[i], why = min(counts[i], len(k.waiting)), endPressure
		}
		k.allowed = counts[i]
		if k.allowed < kinds[i].target {
			p.shrink(k, k.allowed, why)
		} else {
			p.shrink(k, k.allowed, endIdle)
		}
	}
	return missing
}

// shrink leaves a kind at most n machines: those that are being made go first,
// then those that have waited longest.
func (p *Pool[M]) shrink(k *kind[M], n int, why string) {
	over := len(k.waiting) + k.coming() - n
	for _, m := range slices.Backward(k.making) {
		if over > 0 && m.dropped == "" {
			m.dropped = why
			m.cancel()
			over--
		}
	}
	for ; over > 0 && len(k.waiting) > 0; over-- {
		w := k.pop()
		p.end(k, w.machine, w.bytes, why)
	}
}

// start begins to make what is missing, as far as there are makers, and memory:
// what was just ended holds its own until it is gone. Among kinds that lack
// their minimum the one that waits longest comes first, so that none of them,
// however hot, keeps the makers from the others.
func (p *Pool[M]) start(missing []claim, now time.Time) {
	slices.SortStableFunc(missing, func(a, b claim) int {
		if a.class != classMin || b.class != classMin {
			return a.class - b.class
		}
		return p.all[a.kind].begun.Compare(p.all[b.kind].begun)
	})
	free := p.cfg.Budget - p.used()
	for _, c := range missing {
		k := p.all[c.kind]
		cost := k.next
		if !k.holding {
			cost += k.template
		}
		switch {
		case p.makers >= p.cfg.Makers:
			return
		case k.releasing || p.succeeds(k) || now.Before(k.retry) || k.failures > 0 && len(k.making) > 0:
		case cost <= free:
			p.begin(k, now)
			free -= cost
		}
	}
}

// succeeds says that an evicted kind of the same key is not yet gone.
func (p *Pool[M]) succeeds(k *kind[M]) bool {
	return slices.ContainsFunc(p.all, func(other *kind[M]) bool {
		return other != k && other.evicted && other.Key == k.Key
	})
}

// used is what the pool costs the host now.
func (p *Pool[M]) used() (sum int64) {
	for _, k := range p.all {
		sum += k.bytes()
	}
	return sum
}

// letGo releases what nothing waits for, and forgets kinds that nobody asks for.
func (p *Pool[M]) letGo() {
	p.all = slices.DeleteFunc(p.all, func(k *kind[M]) bool {
		if !k.empty() || k.allowed > 0 && !k.evicted || k.releasing {
			return false
		}
		if k.holding {
			p.release(k)
			return false
		}
		if !k.evicted && k.target > 0 {
			return false
		}
		if p.kinds[k.Key] == k {
			delete(p.kinds, k.Key)
		}
		return true
	})
}
