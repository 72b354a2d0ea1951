package feeder

import (
	"time"

	"github.com/program-explorer/pe/schemas"
)

type pool struct {
	needs schemas.Requires
	lanes map[string]*lane
	// target is how many offers each lane should have; 0 while nobody serves the pool.
	target int
	state  poolState
	// exists is set once there are consumers to pull from.
	exists bool
	// tickets counts the queued jobs, wherever they wait: the pool must outlive them.
	tickets int
	// used is when the pool last had both jobs and executors.
	used time.Time
}

type poolState uint8

const (
	poolNew poolState = iota
	poolPreparing
	poolReady
)

func (f *Feeder) pool(name string, needs schemas.Requires) *pool {
	p := f.pools[name]
	if p == nil {
		p = &pool{needs: needs, lanes: map[string]*lane{}, used: f.cfg.Now()}
		f.pools[name] = p
		f.poke() // its target is not known yet
	}
	return p
}

// jobs counts those of a pool that are due, about.
func (p *pool) jobs() int {
	n := 0
	for _, l := range p.lanes {
		n += len(l.offered) + len(l.shares)
	}
	return n
}

func (p *pool) wanted() bool {
	for _, l := range p.lanes {
		if l.turns.Len() > 0 {
			return true
		}
	}
	return false
}

// Made takes note that a pool's consumers are there: executors may be told.
func (f *Feeder) Made(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p := f.pools[name]; p != nil {
		p.exists = true
	}
}

// Fresh counts those of the pools that are not there yet, and all that are.
func (f *Feeder) Fresh(pools map[string]bool) (fresh, all int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name := range pools {
		if f.pools[name] == nil {
			fresh++
		}
	}
	return fresh, len(f.pools)
}

// Ready takes note that a pool can be fed, or could not be made.
func (f *Feeder) Ready(name string, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pools[name]
	if p == nil {
		return
	}
	if err != nil {
		p.state = poolNew // the reconciler tries again
		return
	}
	p.state, p.exists = poolReady, true
	f.feed(name)
}

// Retarget sets every pool's depth by what target says, and feeds.
func (f *Feeder) Retarget(target func(schemas.Requires) int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for name, p := range f.pools {
		p.target = target(p.needs)
		if p.target > 0 && p.jobs() > 0 {
			p.used = f.cfg.Now()
		}
		f.feed(name)
	}
}

// Existing lists the pools that can be pulled from, with their requirements.
func (f *Feeder) Existing() map[string]schemas.Requires {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make(map[string]schemas.Requires, len(f.pools))
	for name, p := range f.pools {
		if p.exists {
			all[name] = p.needs
		}
	}
	return all
}

// Known takes note of a pool that is in the bucket; it reports whether that is news.
func (f *Feeder) Known(name string, needs schemas.Requires) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pool(name, needs)
	news := !p.exists
	p.exists = true
	return news
}

// Idle lists the pools that had no jobs or no executors for so long. Those that
// were never made and have no jobs are forgotten.
func (f *Feeder) Idle(long time.Duration) []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for name, p := range f.pools {
		switch {
		case f.cfg.Now().Sub(p.used) <= long:
		case p.exists:
			all = append(all, name)
		case p.state == poolNew && p.tickets == 0:
			delete(f.pools, name)
		}
	}
	return all
}

// Retired takes note that a pool is gone, with all its offers.
func (f *Feeder) Retired(name string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	p := f.pools[name]
	if p == nil {
		return
	}
	p.state, p.exists, p.used = poolNew, false, f.cfg.Now()
	tenants := map[string]bool{}
	for _, l := range p.lanes {
		for t := range l.offered {
			f.outOfStream(t)
			// The server may still know the id of the offer that was taken back.
			t.feed = f.cfg.Now().UnixNano()
			f.wait(t)
			tenants[t.place.Tenant] = true
		}
	}
	if p.tickets == 0 {
		delete(f.pools, name)
	}
	for tenant := range tenants { // who may run more elsewhere now
		f.tidy(tenant)
	}
}
