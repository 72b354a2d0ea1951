package coordinator

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/program-explorer/pe/schemas"
)

type metrics struct {
	jobs      *prometheus.GaugeVec
	submitted prometheus.Counter
	claims    *prometheus.CounterVec
	feeds     *prometheus.CounterVec
	events    *prometheus.CounterVec
	lost      *prometheus.CounterVec
	conflicts prometheus.Counter
	cache     *prometheus.CounterVec
	kept      prometheus.Counter
	unasked   prometheus.Counter
	cacheFull prometheus.Counter
	shelved   prometheus.Counter
	submit    prometheus.Histogram
	wait      prometheus.Histogram
	total     prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) (*metrics, error) {
	seconds := prometheus.ExponentialBucketsRange(0.001, 3600, 22)
	counters := func(name, help string, label string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "pe", Name: name, Help: help}, []string{label})
	}
	histogram := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Namespace: "pe", Name: name, Help: help, Buckets: seconds})
	}
	m := &metrics{
		jobs:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "pe", Name: "jobs", Help: "Jobs by state, but for those in history."}, []string{"state"}),
		submitted: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pe", Name: "jobs_submitted_total", Help: "Jobs created by this gateway."}),
		claims:    counters("claims_total", "Claims answered by this gateway.", "answer"),
		feeds:     counters("offers_total", "Offers published by this gateway: stored, duplicate, repaired, stuck or failed.", "outcome"),
		events:    counters("events_total", "Events by what became of them.", "verdict"),
		lost:      counters("attempts_lost_total", "Attempts that were taken from their executor.", "reason"),
		conflicts: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pe", Name: "record_conflicts_total", Help: "Writes of records that somebody else won."}),
		cache:     counters("cache_submissions_total", "Submissions that asked the result cache: hit, shared (the same job runs already) or miss.", "outcome"),
		kept:      prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pe", Name: "cache_results_total", Help: "Results kept in the cache."}),
		unasked:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pe", Name: "cache_failures_total", Help: "Times that the result cache, or the store for a result in it, could not be asked, so that the job is run."}),
		cacheFull: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pe", Name: "cache_full_total", Help: "Jobs that are run without an entry in the result cache, as their tenant has as many as it may."}),
		shelved:   prometheus.NewCounter(prometheus.CounterOpts{Namespace: "pe", Name: "history_moved_total", Help: "Records that this gateway moved from the bucket of jobs into pages of history."}),
		submit:    histogram("submit_seconds", "Submission: record created, and a large specification stored before."),
		wait:      histogram("job_wait_seconds", "From queued to claimed."),
		total:     histogram("job_seconds", "From submission to the end."),
	}
	all := []prometheus.Collector{m.jobs, m.submitted, m.claims, m.feeds, m.events, m.lost, m.conflicts, m.cache, m.kept, m.unasked, m.cacheFull, m.shelved, m.submit, m.wait, m.total}
	for _, c := range all {
		if err := r.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// moved counts a job's step from one state to another; empty is none.
func (m *metrics) moved(old, now schemas.State) {
	if old == now {
		return
	}
	if old != "" {
		m.jobs.WithLabelValues(string(old)).Dec()
	}
	if now != "" {
		m.jobs.WithLabelValues(string(now)).Inc()
	}
}
