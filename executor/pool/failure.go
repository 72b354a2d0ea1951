package pool

import (
	"errors"
	"time"
)

const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
	// proven is how long a machine must have waited for its kind to count as sound again.
	proven = time.Minute
)

// errDied is what happened to a machine that nobody touched.
var errDied = errors.New("machine died while it waited")

// backoff is how long a kind is left alone after that many failures in a row.
func backoff(failures int) time.Duration {
	wait := firstRetry
	for range failures - 1 {
		if wait *= 2; wait >= lastRetry {
			return lastRetry
		}
	}
	return wait
}

// fail notes that a machine that was begun then could not be made, or died.
// Those that were begun before the last failure tell nothing new.
func (p *Pool[M]) fail(k *kind[M], begun time.Time, err error) {
	now := time.Now()
	p.metrics.failures.WithLabelValues(k.Name).Inc()
	k.err = err
	if k.failures == 0 || begun.After(k.failed) {
		k.failures++
		k.failed, k.retry = now, now.Add(backoff(k.failures))
	}
	p.cfg.Log.Warn("no machine to keep waiting", "kind", k.Name, "key", k.Key, "reason", err,
		"failures", k.failures, "retry_in", k.retry.Sub(now))
}

// survived forgets a kind's failures for a machine that was made after them and is alive.
func (k *kind[M]) survived(w *waiter[M]) {
	if k.failures > 0 && w.since.After(k.failed) {
		k.failures, k.err = 0, nil
	}
}

// bury drops machines that have died.
func (p *Pool[M]) bury(k *kind[M], now time.Time) {
	alive := k.waiting[:0]
	for _, w := range k.waiting {
		select {
		case <-w.machine.Done():
			p.fail(k, w.since, errDied)
			p.end(k, w.machine, w.bytes, endDied)
		default:
			if now.Sub(w.since) >= proven {
				k.survived(w)
			}
			alive = append(alive, w)
		}
	}
	clear(k.waiting[len(alive):])
	k.waiting = alive
}
