package pool

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	takes    *prometheus.CounterVec
	ended    *prometheus.CounterVec
	failures *prometheus.CounterVec
	makes    *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer, stats func() Stats) *metrics {
	m := &metrics{
		takes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_executor_pool_takes_total", Help: "Jobs that asked the pool for a machine; miss: none waited."}, []string{"kind", "result"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_executor_pool_ended_total", Help: "Machines that were ended while they waited, by reason."}, []string{"kind", "reason"}),
		failures: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_executor_pool_failures_total", Help: "Machines that could not be made, or died while they waited."}, []string{"kind"}),
		makes: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pe_executor_pool_make_seconds", Help: "Time to make a machine that then waits.",
			Buckets: prometheus.ExponentialBuckets(0.01, 2, 15)}, []string{"kind"}),
	}
	r.MustRegister(m.takes, m.ended, m.failures, m.makes, levels{stats})
	return m
}

// levels are what the pool holds at the time of a scrape: a kind that it has
// forgotten is gone from here by itself.
type levels struct{ stats func() Stats }

var (
	waitingDesc = prometheus.NewDesc("pe_executor_pool_waiting", "Machines that wait for a job.", []string{"kind"}, nil)
	targetDesc  = prometheus.NewDesc("pe_executor_pool_target", "Machines that the demand calls for.", []string{"kind"}, nil)
	usedDesc    = prometheus.NewDesc("pe_executor_pool_used_bytes", "Memory that the pool is thought to cost the host.", nil, nil)
	budgetDesc  = prometheus.NewDesc("pe_executor_pool_budget_bytes", "Memory that the pool may cost the host.", nil, nil)
	pressedDesc = prometheus.NewDesc("pe_executor_pool_pressed", "1 while the host is short of memory and the pool gives its own back.", nil, nil)
)

// Describe implements prometheus.Collector.
func (l levels) Describe(c chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{waitingDesc, targetDesc, usedDesc, budgetDesc, pressedDesc} {
		c <- d
	}
}

// Collect implements prometheus.Collector.
func (l levels) Collect(c chan<- prometheus.Metric) {
	s := l.stats()
	waiting, target := map[string]int{}, map[string]int{} // several kinds may have one name
	for _, k := range s.Kinds {
		waiting[k.Name] += k.Waiting
		target[k.Name] += k.Target
	}
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		c <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for name := range waiting {
		gauge(waitingDesc, float64(waiting[name]), name)
		gauge(targetDesc, float64(target[name]), name)
	}
	gauge(usedDesc, float64(s.Used))
	gauge(budgetDesc, float64(s.Budget))
	pressed := 0.0
	if s.Pressed {
		pressed = 1
	}
	gauge(pressedDesc, pressed)
}
