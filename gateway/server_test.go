package gateway

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/gateway/api"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

// idleJobs is a coordinator whose one job never ends.
type idleJobs struct {
	api.Coordinator
	waits chan struct{}
}

func (idleJobs) Ready() error                  { return nil }
func (idleJobs) Executors() []schemas.Executor { return nil }
func (idleJobs) Waiting(schemas.Record) string { return "" }

func (idleJobs) Get(_ context.Context, tenant, job string) (schemas.Record, error) {
	return schemas.Record{ID: job, Tenant: tenant, State: schemas.StateQueued, Spec: schemas.Object{Name: "spec.json", SHA256: schemas.Digest(make([]byte, 32))}}, nil
}

func (j idleJobs) Wait(ctx context.Context, tenant, job string, _ func(schemas.Record) bool) (schemas.Record, error) {
	close(j.waits)
	<-ctx.Done()
	return schemas.Record{}, ctx.Err()
}

func config(t *testing.T) (Config, idleJobs) {
	t.Helper()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	jobs := idleJobs{waits: make(chan struct{})}
	return Config{Addr: "127.0.0.1:0", API: api.Config{Jobs: jobs, Store: store, Log: slog.New(slog.DiscardHandler),
		Resolve: func(context.Context, string) (api.ResolvedImage, error) { return api.ResolvedImage{}, nil }}}, jobs
}

// serve runs the server and returns what ends it.
func serve(t *testing.T, c Config) (s *Server, stop func() error) {
	t.Helper()
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(cancel)
	return s, func() error { cancel(); return <-done }
}

func TestOpenAddressesNeedAToken(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0"} {
		c, _ := config(t)
		c.Addr = addr
		_, err := New(c)
		var refused *ErrNoTokens
		if !errors.As(err, &refused) || !strings.Contains(err.Error(), "access token") {
			t.Errorf("%s: %v", addr, err)
		}
		token, err := access.NewToken("0123456789abcdef", "")
		if err != nil {
			t.Fatal(err)
		}
		c.API.Tokens = access.NewTokens([]access.Token{token}, nil, nil)
		s, err := New(c)
		if err != nil {
			t.Fatalf("%s with a token: %v", addr, err)
		}
		if !strings.HasPrefix(s.URL(), "http://127.0.0.1:") {
			t.Errorf("URL %s", s.URL())
		}
		s.Close()
	}
}

func TestPortTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	c, _ := config(t)
	c.Addr = taken.Addr().String()
	if _, err := New(c); err == nil || !strings.Contains(err.Error(), c.Addr) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("%v", err)
	}
}

func TestRunStopsInOrder(t *testing.T) {
	t.Parallel()
	c, jobs := config(t)
	s, stop := serve(t, c)
	answered := make(chan int, 1)
	go func() {
		resp, err := http.Get(s.URL() + "/v1/jobs/j0000000000000000000000000?wait=1m")
		if err != nil {
			answered <- 0
			return
		}
		defer resp.Body.Close()
		io.Copy(io.Discard, resp.Body)
		answered <- resp.StatusCode
	}()
	<-jobs.waits
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the long poll was answered with %d", status)
	}
	if _, err := net.DialTimeout("tcp", s.Addr().String(), time.Second); err == nil {
		t.Error("it still listens")
	}
}

func TestSlowHeadersAreCutOff(t *testing.T) {
	t.Parallel()
	c, _ := config(t)
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	h := s.http
	if h.ReadHeaderTimeout == 0 || h.ReadTimeout == 0 || h.WriteTimeout == 0 || h.IdleTimeout == 0 || h.MaxHeaderBytes == 0 {
		t.Errorf("a time-out is missing: %+v", h)
	}
}
