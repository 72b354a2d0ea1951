package executor

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/schemas"
)

type metrics struct {
	running  prometheus.Gauge
	claims   *prometheus.CounterVec
	attempts *prometheus.CounterVec
	spans    *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		running: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "pe_executor_running_jobs", Help: "Jobs that run now."}),
		claims: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_executor_claims_total", Help: "Claims by the gateway's answer; none: it did not answer."}, []string{"answer"}),
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_executor_attempts_total", Help: "Ended attempts: the job's state, or the failure's code."}, []string{"end"}),
		spans: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pe_executor_stage_seconds", Help: "Time of each stage of an attempt.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 20)}, []string{"stage"}),
	}
	r.MustRegister(m.running, m.claims, m.attempts, m.spans)
	return m
}

func (m *metrics) observe(spans []schemas.Span) {
	for _, s := range spans {
		took := time.Duration(s.EndUS-s.StartUS) * time.Microsecond
		m.spans.WithLabelValues(s.Name).Observe(took.Seconds())
	}
}
