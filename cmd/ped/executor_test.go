package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
)

// spoken is what a command has written so far, for whoever reads while it runs.
type spoken struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *spoken) Write(data []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(data)
}

func (s *spoken) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// preparedQueue is a NATS server with what a gateway makes in it.
func preparedQueue(t *testing.T) string {
	t.Helper()
	url := natsServer(t)
	q, err := jobqueue.Connect(t.Context(), jobqueue.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	if err := q.EnsureStreams(t.Context()); err != nil {
		t.Fatal(err)
	}
	return url
}

// await returns the first group of a pattern, once the command has said it.
func (s *spoken) await(t *testing.T, pattern string, ended <-chan int) string {
	t.Helper()
	deadline := time.After(time.Minute)
	for wanted := regexp.MustCompile(pattern); ; {
		if found := wanted.FindStringSubmatch(s.String()); found != nil {
			return found[1]
		}
		select {
		case code := <-ended:
			t.Fatalf("ended with %d: %s", code, s)
		case <-time.After(10 * time.Millisecond):
		case <-deadline:
			t.Fatalf("nothing like %s after a minute: %s", pattern, s)
		}
	}
}

// request asks the server of metrics and returns status and body.
func request(t *testing.T, method, url string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// TestExecutorServesMetrics: what the log says is the address can be scraped, and nothing else is there.
func TestExecutorServesMetrics(t *testing.T) {
	t.Parallel()
	queue := preparedQueue(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan int, 1)
	var said spoken
	go func() {
		ended <- run(ctx, []string{"executor", "--nats-url", queue, "--executor-id", "idle", "--isolation", "noop", "--data-dir", t.TempDir(), "--metrics-listen", "127.0.0.1:0"}, nil, io.Discard, &said)
	}()
	url := said.await(t, `metrics are served" url=(\S+)/metrics`, ended)
	status, body := request(t, http.MethodGet, url+"/metrics")
	if status != http.StatusOK {
		t.Errorf("/metrics: %d %s", status, body)
	}
	for _, want := range []string{"\npe_executor_running_jobs 0\n", "\nprocess_cpu_seconds_total ", "\ngo_goroutines "} {
		if !strings.Contains(body, want) {
			t.Errorf("no %q in %s", strings.TrimSpace(want), body)
		}
	}
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{http.MethodGet, "/healthz", http.StatusOK},
		{http.MethodGet, "/", http.StatusNotFound},
		{http.MethodGet, "/v1/jobs", http.StatusNotFound},
		{http.MethodGet, "/debug/pprof/", http.StatusNotFound},
		{http.MethodPost, "/metrics", http.StatusMethodNotAllowed},
	} {
		if status, _ := request(t, c.method, url+c.path); status != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.path, status, c.want)
		}
	}
	stop()
	if code := <-ended; code != exitOK {
		t.Errorf("exit code %d: %s", code, &said)
	}
	if c, err := net.Dial("tcp", strings.TrimPrefix(url, "http://")); err == nil {
		c.Close()
		t.Error("it is still listening")
	}
}

// TestExecutorWithoutItsAddress: one that cannot be had ends the executor, which says which flag it is.
func TestExecutorWithoutItsAddress(t *testing.T) {
	t.Parallel()
	queue := preparedQueue(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	var said spoken
	code := run(t.Context(), []string{"executor", "--nats-url", queue, "--executor-id", "idle", "--isolation", "noop", "--data-dir", t.TempDir(), "--metrics-listen", taken.Addr().String()}, nil, io.Discard, &said)
	if code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	for _, want := range []string{taken.Addr().String(), "address already in use", "choose another address with --metrics-listen"} {
		if !strings.Contains(said.String(), want) {
			t.Errorf("it says %q, which lacks %q", &said, want)
		}
	}
}
