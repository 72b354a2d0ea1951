package pool

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Machine is what waits. A job uses it once.
type Machine interface {
	// Close destroys the machine. The pool calls it once for each machine that it
	// doesn't hand out, and counts its memory as in use until Close returns.
	Close() error
	// Done is closed when the machine has died by itself or was closed.
	Done() <-chan struct{}
}

// Pool is machines that wait. Safe for concurrent use.
type Pool[M Machine] struct {
	cfg     Config
	metrics *metrics
	wake    chan struct{} // one element: there is something to do
	done    chan struct{} // closed when all has ended after Drain or Close
	work    sync.WaitGroup

	mu      sync.Mutex
	kinds   map[string]*kind[M] // those that can be taken from
	all     []*kind[M]          // and those that still have something to end; in order of their beginning
	makers  int                 // calls of Make that run
	pressed bool                // at the last poll
	polled  time.Time           // the last poll
	rest    time.Time           // nothing is made until then: pressure has only just gone
	missed  uint64              // takes of what no kind is registered for
	closed  bool
}

// New returns an empty pool, and starts what keeps it filled. End it with Drain or Close.
func New[M Machine](c Config) *Pool[M] {
	p := &Pool[M]{
		cfg: c.withDefaults(), kinds: map[string]*kind[M]{},
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	p.metrics = newMetrics(p.cfg.Metrics, p.Stats)
	go p.keep()
	return p
}

// Want says that a kind is in use, so that some of it will wait. Call it at the
// start of each job of that kind, before Take; it is cheap and never waits for a
// machine. For a key that is known it only refreshes Name, Min and Max: Make and the
// other functions stay those of the first call until the kind was let go, which is
// when nothing has asked for it for Config.Idle and its Min is 0, or by Evict.
func (p *Pool[M]) Want(k Kind[M]) {
	template := k.templateBytes() // not under our lock: it is not our code
	defer p.nudge()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	k.Min, k.Max = p.cfg.bounds(k.Min, k.Max)
	now := time.Now()
	if old := p.kinds[k.Key]; old != nil {
		old.Name, old.Min, old.Max, old.used = k.Name, k.Min, k.Max, now
		return
	}
	fresh := newKind(k, template, now)
	p.kinds[k.Key] = fresh
	p.all = append(p.all, fresh)
}

// Take hands out the machine of that key that has waited longest and is alive,
// or none. It never waits for one. Either way it counts as demand for the kind.
func (p *Pool[M]) Take(key string) (M, bool) {
	defer p.nudge()
	p.mu.Lock()
	defer p.mu.Unlock()
	var none M
	k := p.kinds[key]
	if k == nil {
		p.missed++
		return none, false
	}
	now := time.Now()
	k.ask(now)
	p.bury(k, now)
	if len(k.waiting) == 0 {
		k.misses++
		p.metrics.takes.WithLabelValues(k.Name, "miss").Inc()
		return none, false
	}
	w := k.pop()
	k.survived(w)
	k.hits++
	p.metrics.takes.WithLabelValues(k.Name, "hit").Inc()
	return w.machine, true
}

// Evict forgets a kind, because what its machines are made from is no good any
// more: from now on Take finds none, and those that wait are ended in the
// background; then comes the kind's Release. A Want begins anew after that.
func (p *Pool[M]) Evict(key string) {
	defer p.nudge()
	p.mu.Lock()
	defer p.mu.Unlock()
	if k := p.kinds[key]; k != nil {
		p.evict(k, endEvicted)
	}
}

// Drain ends all that waits and all that is being made, and returns when nothing
// is left, or with an error when ctx ends first; it then goes on in the
// background. The pool stays empty for good. It may be called again.
func (p *Pool[M]) Drain(ctx context.Context) error {
	p.mu.Lock()
	p.closed = true
	for _, k := range p.all {
		p.evict(k, endClosed)
	}
	p.mu.Unlock()
	p.nudge()
	select {
	case <-p.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("drain pool: %d kinds have machines that did not end: %w", len(p.Stats().Kinds), context.Cause(ctx))
	}
}

// Close is Drain without a bound on the time. It never fails.
func (p *Pool[M]) Close() error { return p.Drain(context.Background()) }

// evict makes a kind one that nobody can take from, and ends all of it.
func (p *Pool[M]) evict(k *kind[M], why string) {
	if p.kinds[k.Key] == k {
		delete(p.kinds, k.Key)
	}
	k.evicted = true
	p.shrink(k, 0, why)
}

// nudge makes the keeper look at once.
func (p *Pool[M]) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}
