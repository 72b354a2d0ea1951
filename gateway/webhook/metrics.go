package webhook

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// Outcomes of attempts, as metrics name them.
const (
	outcomeDelivered = "delivered"
	outcomeRetried   = "retried" // failed, and sent again later
	outcomeFailed    = "failed"
	outcomeDropped   = "dropped" // given up without being sent
)

type metrics struct {
	attempts *prometheus.CounterVec
	seconds  prometheus.Histogram
}

func newMetrics(r prometheus.Registerer, o *Outbox) (*metrics, error) {
	gauge := func(name, help string, value func() int) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "pe", Subsystem: "webhook", Name: name, Help: help}, func() float64 { return float64(value()) })
	}
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Namespace: "pe", Subsystem: "webhook", Name: "attempts_total", Help: "Deliveries that this gateway sent, or gave up, by outcome.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Namespace: "pe", Subsystem: "webhook", Name: "request_seconds", Help: "Time that receivers took to answer.",
			Buckets: prometheus.ExponentialBucketsRange(0.001, 30, 12),
		}),
	}
	for _, c := range []prometheus.Collector{
		m.attempts, m.seconds,
		gauge("pending", "Deliveries on their way, of all gateways.", func() int { n, _ := o.book.onTheirWay(); return n }),
		gauge("receivers_broken", "Receivers that have failed so often that this gateway pauses.", func() int { _, n := o.book.onTheirWay(); return n }),
		gauge("backlog", "Ends that this gateway remembers and has yet to make deliveries of.", func() int { n, _ := o.backlog.size(); return n }),
		gauge("tenants_behind", "Tenants with more ends than that, which this gateway reads from their records later.", func() int { _, n := o.backlog.size(); return n }),
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
