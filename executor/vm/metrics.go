package vm

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics of all machines of a host.
type metrics struct {
	machines  *prometheus.CounterVec
	fallbacks *prometheus.CounterVec
	setAside  prometheus.Counter
	bakes     prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		machines: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_executor_vm_machines_total", Help: "Machines that got ready for a job, by how: booted, restored or pooled."}, []string{"arch", "start"}),
		fallbacks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_executor_vm_fallbacks_total", Help: "Machines that had to boot although snapshots are on, by reason."}, []string{"arch", "reason"}),
		setAside: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "pe_executor_vm_snapshots_set_aside_total", Help: "Snapshots that could not be restored."}),
		bakes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pe_executor_vm_bake_seconds", Help: "Time to bake a snapshot.", Buckets: prometheus.ExponentialBuckets(0.25, 2, 12)}),
	}
	if r != nil {
		r.MustRegister(m.machines, m.fallbacks, m.setAside, m.bakes)
	}
	return m
}

func (m *metrics) baked(took time.Duration) { m.bakes.Observe(took.Seconds()) }
