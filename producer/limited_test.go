package producer

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// busy refuses so many requests, then answers.
func busy(t *testing.T, refusals int32, status int, after string) (*Client, *atomic.Int32) {
	t.Helper()
	var asked atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) <= refusals {
			w.Header().Set("Retry-After", after)
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(status)
			w.Write([]byte(`{"type":"urn:program-explorer:problem:rate-limit","title":"Too many requests"}`))
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Write([]byte(`{"id":"j0"}`))
	}))
	t.Cleanup(s.Close)
	c, err := New(Config{Server: s.URL, Patience: 3 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c, &asked
}

// Nothing was done, so even what may not be done twice is asked for again.
func TestSubmitWaitsWhenThereAreTooMany(t *testing.T) {
	t.Parallel()
	c, asked := busy(t, 1, http.StatusTooManyRequests, "1")
	began := time.Now()
	job, err := c.Submit(t.Context(), schemas.JobSpec{Image: "gcc"})
	if err != nil || job.ID != "j0" || asked.Load() != 2 {
		t.Errorf("%+v, %v after %d requests", job, err, asked.Load())
	}
	if took := time.Since(began); took < time.Second {
		t.Errorf("asked again after %s: the server said a second", took)
	}
}

func TestWhatMayHaveBeenDoneIsNotAskedForAgain(t *testing.T) {
	t.Parallel()
	c, asked := busy(t, 1, http.StatusServiceUnavailable, "1")
	if _, err := c.Submit(t.Context(), schemas.JobSpec{Image: "gcc"}); !Transient(err) || asked.Load() != 1 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
}

// A server that wants more patience than there is is taken at its word at once.
func TestPatienceIsBoundedWhateverTheServerSays(t *testing.T) {
	t.Parallel()
	c, asked := busy(t, 1, http.StatusTooManyRequests, "3600")
	_, err := c.Submit(t.Context(), schemas.JobSpec{Image: "gcc"})
	var p *schemas.ProblemDocument
	if !errors.As(err, &p) || p.Status != http.StatusTooManyRequests || asked.Load() != 1 {
		t.Errorf("%v after %d requests", err, asked.Load())
	}
}

func TestRetryAfterIsAddedToThePause(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		p := &patience{limit: time.Minute, heard: time.Now()}
		began := time.Now()
		problem := &schemas.ProblemDocument{Status: http.StatusServiceUnavailable}
		if err := p.pause(context.Background(), &laterError{problem, 10 * time.Second}); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 10*time.Second || took > 10*time.Second+firstPause {
			t.Errorf("paused for %s", took)
		}
	})
}

func TestRetryAfterHeader(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-7": 0, "1e9": 0, "99999999999": 0, "soon": 0,
		"Fri, 02 Jan 2026 03:04:15 GMT": 10 * time.Second, "Fri, 02 Jan 2026 03:04:00 GMT": 0,
	} {
		if got := retryAfter(header, now); got != want {
			t.Errorf("%q: %s, want %s", header, got, want)
		}
	}
}
