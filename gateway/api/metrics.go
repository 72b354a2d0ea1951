package api

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics counts requests by route pattern, never by path: a path holds ids
// and names, and there may be any number of them.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	busy     prometheus.Gauge
	refusals *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_http_requests_total", Help: "Requests answered, by route, method and status; 499: the client left.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "pe_http_request_seconds", Help: "Time from the request's header to the answer's end; waits and streams included.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300},
		}, []string{"route"}),
		busy: prometheus.NewGauge(prometheus.GaugeOpts{Name: "pe_http_requests_in_flight", Help: "Requests being answered."}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "pe_http_refusals_total", Help: "Requests that were not let in, by reason: no-token, unknown-token, expired-token, revoked-token, scope, rate-limit, foreign.",
		}, []string{"reason"}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.busy, m.refusals} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *metrics) begin() { m.busy.Inc() }

func (m *metrics) end(route, method string, status int, took time.Duration) {
	m.busy.Dec()
	m.requests.WithLabelValues(route, methodLabel(method), strconv.Itoa(status)).Inc()
	m.seconds.WithLabelValues(route).Observe(took.Seconds())
}

// methodLabel keeps a client from inventing label values.
func methodLabel(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
		return method
	}
	return "other"
}

func (a *API) metricsPage(w http.ResponseWriter, r *http.Request, _ string) error {
	promhttp.HandlerFor(a.Metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}).ServeHTTP(w, r)
	return nil
}
