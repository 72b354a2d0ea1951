package roles

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metricsTimeout bounds each step of a scrape, and how long a shutdown waits for one.
const metricsTimeout = 10 * time.Second

// metricsServer serves metrics to whoever can reach its address: GET /metrics and
// /healthz, nothing else. A request waits until run serves it.
type metricsServer struct {
	listener net.Listener
	http     *http.Server
}

// listenMetrics listens on a TCP address, port 0 allowed, and logs which it is.
func listenMetrics(address string, metrics prometheus.Gatherer, log *slog.Logger) (*metricsServer, error) {
	listener, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen on %s for metrics: %w", address, err)
	}
	log.Info("metrics are served", "url", "http://"+listener.Addr().String()+"/metrics")
	return &metricsServer{listener: listener, http: &http.Server{
		Handler:           metricsHandler(metrics),
		ReadHeaderTimeout: metricsTimeout, ReadTimeout: metricsTimeout, WriteTimeout: metricsTimeout, IdleTimeout: 2 * time.Minute,
		MaxHeaderBytes: 8 << 10,
		// OPTIONS * is answered as every other path that is not there.
		DisableGeneralOptionsHandler: true,
		ErrorLog:                     slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}}, nil
}

func metricsHandler(metrics prometheus.Gatherer) http.Handler {
	mux := http.NewServeMux()
	// A scraper asks one at a time; a crowd must not take the jobs' processors.
	mux.Handle("GET /metrics", promhttp.HandlerFor(metrics, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	return mux
}

// run serves until ctx ends, and returns when nothing of it is left.
func (s *metricsServer) run(ctx context.Context) error {
	stopped := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		<-ctx.Done()
		ctx, done := context.WithTimeout(context.WithoutCancel(ctx), metricsTimeout)
		defer done()
		if s.http.Shutdown(ctx) != nil {
			stopped <- s.http.Close() // whoever reads that slowly gets no more
			return
		}
		stopped <- nil
	}()
	err := s.http.Serve(s.listener)
	cancel()
	stopErr := <-stopped
	if !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve metrics on %s: %w", s.listener.Addr(), err)
	}
	return stopErr
}

// close gives back the address, if run has not done so.
func (s *metricsServer) close() error {
	if err := s.listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}
