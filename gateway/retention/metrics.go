package retention

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	objects, bytes, sweeps, expired *prometheus.CounterVec
	stored                          prometheus.Gauge
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	counter := func(name, help, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pe", Name: name, Help: help}, []string{label})
	}
	m := &metrics{
		objects: counter("sweep_deleted_objects_total", "Objects deleted by sweeps of this gateway.", "kind"),
		bytes:   counter("sweep_deleted_bytes_total", "Bytes deleted by sweeps of this gateway.", "kind"),
		sweeps:  counter("sweeps_total", "Sweeps by this gateway in the background: done or failed.", "outcome"),
		expired: counter("expired_total", "Jobs whose outputs or record this gateway let expire.", "what"),
		stored:  prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "pe", Name: "stored_bytes", Help: "Bytes of all tenants in the object store, by this gateway's last sweep."}),
	}
	if r == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.objects, m.bytes, m.sweeps, m.expired, m.stored} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) deleted(kind string, size int64) {
	m.objects.WithLabelValues(kind).Inc()
	m.bytes.WithLabelValues(kind).Add(float64(size))
}
