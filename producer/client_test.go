package producer_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/producer"
	"github.com/program-explorer/pe/producer/internal/canned"
	"github.com/program-explorer/pe/schemas"
)

func client(t *testing.T, server string) *producer.Client {
	t.Helper()
	c, err := producer.New(producer.Config{Server: server, Patience: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestRun(t *testing.T) {
	t.Parallel()
	c := client(t, canned.Start(t).URL)
	job, err := c.Run(t.Context(), schemas.JobSpec{Image: "echo", Args: []string{"hi"}})
	if err != nil || job.State != schemas.StateSucceeded || job.Result.Stdout.Text != "hi\n" {
		t.Errorf("%+v, %v", job, err)
	}
}

func TestProblemsAreTyped(t *testing.T) {
	t.Parallel()
	c := client(t, canned.Start(t).URL)
	_, err := c.Submit(t.Context(), schemas.JobSpec{Image: "a b", Limits: schemas.Limits{Pids: -1}})
	var p *schemas.ProblemDocument
	if !errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity || len(p.Problems) != 2 || producer.Transient(err) {
		t.Errorf("%v", err)
	}
}

func TestForeignServer(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		serve http.HandlerFunc
		want  string
	}{
		"page":    {func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") }, "is it a Program Explorer gateway?"},
		"refusal": {func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, "403 Forbidden, and not as a Program Explorer gateway does"},
		"too big": {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.CopyN(w, endless{}, 65<<20) }, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(c.serve)
			defer server.Close()
			if _, err := client(t, server.URL).Job(t.Context(), "j"); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%v, want %s", err, c.want)
			}
		})
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return copy(p, strings.Repeat(" ", len(p))), nil }

func TestNoGateway(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + listener.Addr().String()
	listener.Close()
	c := client(t, address)
	want := "no gateway at " + address + ": start one with `ped up`, or set PE_SERVER"
	_, err = c.Job(t.Context(), "j")
	var unreachable *producer.UnreachableError
	if !errors.As(err, &unreachable) || !unreachable.Refused() || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
	for _, err := range c.Follow(t.Context(), "j") {
		if !errors.As(err, &unreachable) {
			t.Errorf("follow: %v", err)
		}
	}
}

func TestNewRefusesBadAddresses(t *testing.T) {
	t.Parallel()
	for _, server := range []string{"ftp://x", "localhost:7300", "http://", "http://u:p@x", "http://x?a=b", "http://x\n"} {
		if _, err := producer.New(producer.Config{Server: server}); err == nil {
			t.Errorf("%s accepted", server)
		}
	}
	if _, err := producer.New(producer.Config{Token: "a\nb"}); err == nil {
		t.Error("a token of two lines accepted")
	}
}

// proxy stands before a gateway and breaks connections.
func proxy(t *testing.T, to string, broken func(n int64) bool) (string, *atomic.Int64) {
	t.Helper()
	var n atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if broken(n.Add(1)) {
			panic(http.ErrAbortHandler)
		}
		req, err := http.NewRequestWithContext(r.Context(), r.Method, to+r.URL.RequestURI(), r.Body)
		if err != nil {
			t.Error(err)
			return
		}
		req.Header, req.ContentLength = r.Header, r.ContentLength
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		for k, v := range resp.Header {
			w.Header()[k] = v
		}
		w.WriteHeader(resp.StatusCode)
		_, _ = io.Copy(w, resp.Body)
	}))
	t.Cleanup(server.Close)
	return server.URL, &n
}

// TestBrokenConnections: everything that may be repeated is, until it works.
func TestBrokenConnections(t *testing.T) {
	t.Parallel()
	url, _ := proxy(t, canned.Start(t).URL, func(n int64) bool { return n%2 == 1 })
	c := client(t, url)
	data := bytes.Repeat([]byte("0123456789abcdef"), 10_000)
	path := filepath.Join(t.TempDir(), "big")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	local, err := producer.Files("", path)
	if err != nil {
		t.Fatal(err)
	}
	var sent, total int64
	files, err := c.Upload(t.Context(), local, func(s, of int64) { sent, total = s, of })
	if err != nil || sent != int64(len(data)) || total != sent {
		t.Fatalf("sent %d of %d: %v", sent, total, err)
	}
	job, err := c.Run(t.Context(), schemas.JobSpec{Image: "echo", Files: files, IdempotencyKey: "once"})
	if err != nil || job.State != schemas.StateSucceeded {
		t.Errorf("%s: %v", job.State, err)
	}
	// Without a key, the caller must decide.
	if _, err := c.Job(t.Context(), job.ID); err != nil {
		t.Error(err)
	}
	if _, err := c.Submit(t.Context(), schemas.JobSpec{Image: "echo"}); !producer.Transient(err) {
		t.Errorf("submit without a key: %v", err)
	}
}

func TestPatienceEnds(t *testing.T) {
	t.Parallel()
	url, n := proxy(t, "", func(int64) bool { return true })
	c, err := producer.New(producer.Config{Server: url, Patience: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Wait(t.Context(), "j"); err == nil || !strings.Contains(err.Error(), "wait for job j: reach gateway") || n.Load() < 2 {
		t.Errorf("%v after %d tries", err, n.Load())
	}
}

func TestWaitEndsWithItsContext(t *testing.T) {
	t.Parallel()
	c := client(t, canned.Start(t).URL)
	job, err := c.Submit(t.Context(), schemas.JobSpec{Image: "slow"})
	if err != nil {
		t.Fatal(err)
	}
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	for e, err := range c.Follow(ctx, job.ID) {
		if e.Kind == schemas.StreamStdout {
			cancel(why)
		} else if err != nil && !errors.Is(err, why) {
			t.Errorf("follow: %v", err)
		}
	}
	if _, err := c.Wait(ctx, job.ID); !errors.Is(err, why) {
		t.Errorf("wait: %v", err)
	}
	if _, err := c.Cancel(t.Context(), job.ID); err != nil {
		t.Error(err)
	}
	if job, err := c.Wait(t.Context(), job.ID); err != nil || job.State != schemas.StateCancelled {
		t.Errorf("%s, %v", job.State, err)
	}
}

func TestFollowYieldsNothingTwice(t *testing.T) {
	t.Parallel()
	c := client(t, canned.Start(t).URL)
	job, err := c.Submit(t.Context(), schemas.JobSpec{Image: "flaky"})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	kinds := map[string]int{}
	for e, err := range c.Follow(t.Context(), job.ID) {
		if err != nil {
			t.Fatal(err)
		}
		kinds[e.Kind]++
		text.Write(e.Data)
	}
	if text.String() != "one\ntwo\nthree\n" || kinds[schemas.StreamStdout] != 3 || kinds[schemas.StreamEnd] != 1 {
		t.Errorf("%q, %v", text.String(), kinds)
	}
}

func TestListTurnsPages(t *testing.T) {
	t.Parallel()
	c := client(t, canned.Start(t).URL)
	for i := range 5 {
		if _, err := c.Submit(t.Context(), schemas.JobSpec{Image: "echo", Labels: map[string]string{"odd": fmt.Sprint(i % 2)}}); err != nil {
			t.Fatal(err)
		}
	}
	var ids []string
	for job, err := range c.List(t.Context(), producer.Filter{Labels: map[string]string{"odd": "0"}}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, job.ID[22:])
	}
	if strings.Join(ids, " ") != "0005 0003 0001" {
		t.Errorf("%v", ids)
	}
}

func TestFileThatChangesIsNotSent(t *testing.T) {
	t.Parallel()
	c := client(t, canned.Start(t).URL)
	n := 0
	f := producer.LocalFile{Name: "log", Size: 20_000, Open: func() (io.ReadCloser, error) {
		n++
		return io.NopCloser(strings.NewReader(strings.Repeat(fmt.Sprint(n), 20_000))), nil
	}}
	if _, err := c.Upload(t.Context(), []producer.LocalFile{f}, nil); err == nil || !strings.Contains(err.Error(), "it changed while it was sent") {
		t.Error(err)
	}
	f.Size = 19_999
	if _, err := c.Upload(t.Context(), []producer.LocalFile{f}, nil); err == nil || !strings.Contains(err.Error(), "it changed while it was read") {
		t.Error(err)
	}
}

func TestOutputNamesAreEscaped(t *testing.T) {
	t.Parallel()
	asked := make(chan string, 1)
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked <- r.URL.EscapedPath() }))
	defer server.Close()
	body, err := client(t, server.URL+"/behind/").OutputFile(t.Context(), "j1", "a b/ü?#%\n.txt")
	if err != nil {
		t.Fatal(err)
	}
	body.Close()
	if got, want := <-asked, "/behind/v1/jobs/j1/outputs/a%20b/%C3%BC%3F%23%25%0A.txt"; got != want {
		t.Errorf("asked for %s, want %s", got, want)
	}
}
