package campaign

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// newMetrics registers what an operator sees: a campaign that stays closed waits for a job.
func newMetrics(r prometheus.Registerer, x *index) (ends prometheus.Counter, err error) {
	gauge := func(name, help string, is func(*known) bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Namespace: "pe", Subsystem: "campaign", Name: name, Help: help}, func() float64 { return float64(len(x.all(is))) })
	}
	ends = prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pe", Subsystem: "campaign", Name: "ends_total", Help: "Ends of campaigns that this gateway wrote."})
	for _, c := range []prometheus.Collector{
		ends,
		gauge("open", "Campaigns that are open.", func(k *known) bool { return !k.closed() }),
		gauge("closed", "Campaigns that are closed and have not ended.", func(k *known) bool { return k.closed() && !k.ended() }),
	} {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return ends, nil
}
