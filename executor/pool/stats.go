package pool

import (
	"cmp"
	"slices"
	"time"
)

// Stats is a pool at one moment.
type Stats struct {
	// Budget is Config's, Used what the pool is thought to cost the host now, in bytes.
	Budget, Used int64
	// Pressed says that the host is short of memory.
	Pressed bool
	// Unknown is how many Takes named a key that no kind was registered for.
	Unknown uint64
	// Kinds are those in use, the hottest first, and those that are still being ended.
	Kinds []KindStats
}

// KindStats is one kind of a pool.
type KindStats struct {
	Key, Name string
	// Waiting machines can be taken now; Making are on their way, Ending on theirs.
	Waiting, Making, Ending int
	// Target is how many should wait, between Min and Max; Allowed how many the
	// budget is enough for, and may be some more where demand has only just fallen.
	Target, Allowed, Min, Max int
	// Rate is demands per second, of late.
	Rate float64
	// MakeTime is what one takes to make, MachineBytes what it costs, and
	// TemplateBytes what all of the kind share and cost together.
	MakeTime                    time.Duration
	MachineBytes, TemplateBytes int64
	// Hits and Misses are Takes since the kind was registered.
	Hits, Misses uint64
	// Failures are those in a row, Reason is the last one's, and nothing is made until Retry.
	Failures int
	Reason   string
	Retry    time.Time
}

// Stats may be called at any time, after Close too.
func (p *Pool[M]) Stats() Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	s := Stats{Budget: p.cfg.Budget, Used: p.used(), Pressed: p.pressed, Unknown: p.missed}
	for _, k := range p.all {
		s.Kinds = append(s.Kinds, k.stats(now))
	}
	slices.SortStableFunc(s.Kinds, func(a, b KindStats) int { return cmp.Compare(b.Rate, a.Rate) })
	return s
}

func (k *kind[M]) stats(now time.Time) KindStats {
	s := KindStats{
		Key: k.Key, Name: k.Name,
		Waiting: len(k.waiting), Making: len(k.making), Ending: k.ending,
		Target: k.target, Allowed: k.allowed, Min: k.Min, Max: k.Max,
		Rate: k.demand.rate(now), MakeTime: k.took,
		MachineBytes: k.next, TemplateBytes: k.template,
		Hits: k.hits, Misses: k.misses, Failures: k.failures, Retry: k.retry,
	}
	if k.err != nil {
		s.Reason = k.err.Error()
	}
	return s
}
