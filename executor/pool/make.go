package pool

import (
	"cmp"
	"context"
	"slices"
	"time"
)

// begin makes a machine in the background.
func (p *Pool[M]) begin(k *kind[M], now time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.MakeTimeout)
	m := &making{bytes: k.next, begun: now, cancel: cancel}
	k.making = append(k.making, m)
	k.holding, k.begun = true, now
	p.makers++
	recipe := k.Kind // Want may change k's while we are at it
	p.work.Go(func() {
		defer p.nudge()
		defer cancel()
		machine, err := recipe.Make(ctx)
		if err != nil {
			p.notMade(k, m, err)
			return
		}
		took := time.Since(m.begun)
		bytes := m.bytes
		if recipe.Measure != nil {
			if measured := recipe.Measure(machine); measured > 0 {
				bytes = measured
			}
		}
		p.made(k, m, machine, took, bytes, recipe.templateBytes())
	})
}

// made lets a machine wait. That nobody wanted it any more is no reason to end it
// unasked: now that it is there, balance may have a use for it.
func (p *Pool[M]) made(k *kind[M], m *making, machine M, took time.Duration, bytes, template int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlist(k, m)
	k.learn(took, bytes, template)
	if k.evicted || len(k.waiting)+k.coming() >= k.Max {
		p.end(k, machine, bytes, cmp.Or(m.dropped, endIdle))
		return
	}
	p.metrics.makes.WithLabelValues(k.Name).Observe(took.Seconds())
	k.waiting = append(k.waiting, &waiter[M]{machine: machine, bytes: bytes, since: time.Now()})
}

// notMade notes why there is no machine, unless we didn't want it any more.
func (p *Pool[M]) notMade(k *kind[M], m *making, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.unlist(k, m)
	if m.dropped == "" {
		p.fail(k, m.begun, err)
	}
}

func (p *Pool[M]) unlist(k *kind[M], m *making) {
	k.making = slices.DeleteFunc(k.making, func(x *making) bool { return x == m })
	p.makers--
}
