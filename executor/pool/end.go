package pool

// Why a machine that waited was ended, as the metric has it.
const (
	endIdle     = "idle"     // its kind is in less demand than it was
	endCold     = "cold"     // the budget is for kinds in more demand
	endPressure = "pressure" // the host is short of memory
	endAged     = "aged"
	endDied     = "died"
	endEvicted  = "evicted"
	endClosed   = "closed" // the pool was drained
)

// end destroys a machine in the background. Its memory counts until it is gone.
func (p *Pool[M]) end(k *kind[M], machine M, bytes int64, why string) {
	k.ending++
	k.endingBytes += bytes
	p.metrics.ended.WithLabelValues(k.Name, why).Inc()
	name := k.Name // Want may change it
	p.work.Go(func() {
		defer p.nudge()
		if err := machine.Close(); err != nil {
			p.cfg.Log.Error("end a machine that waited", "kind", name, "key", k.Key, "reason", err)
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		k.ending--
		k.endingBytes -= bytes
	})
}

// release lets go of what a kind's machines share.
func (p *Pool[M]) release(k *kind[M]) {
	if k.Release == nil {
		k.holding = false
		p.nudge()
		return
	}
	k.releasing = true
	p.work.Go(func() {
		defer p.nudge()
		k.Release()
		p.mu.Lock()
		defer p.mu.Unlock()
		k.releasing, k.holding = false, false
	})
}
