package s3_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
	"github.com/program-explorer/pe/internal/objstore/s3"
	"github.com/program-explorer/pe/internal/objstore/s3test"
)

func TestUnreachable(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, err = s3.Open(t.Context(), s3.Config{Endpoint: "http://" + addr, Bucket: "bucket", AccessKey: "key", SecretKey: "hidden"})
	if !errors.Is(err, objstore.ErrUnavailable) || !strings.Contains(err.Error(), addr) {
		t.Errorf("got %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	for name, change := range map[string]func(*s3.Config){
		"wrong secret": func(c *s3.Config) { c.SecretKey = "wrong" },
		"unknown key":  func(c *s3.Config) { c.AccessKey = "nobody" },
		"no bucket":    func(c *s3.Config) { c.CreateBucket = false },
	} {
		c := config(server, "unhappy")
		change(&c)
		if _, err := s3.Open(t.Context(), c); !errors.Is(err, objstore.ErrUnavailable) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, endpoint := range []string{"", "127.0.0.1:9000", "ftp://x", "http://x/path", "http://user:secret@host"} {
		c := config(server, "unhappy")
		c.Endpoint = endpoint
		_, err := s3.Open(t.Context(), c)
		if err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("endpoint %q: %v", endpoint, err)
		}
	}
}

// TestUnavailable: a service, or a proxy before it, that answers with an error of its
// own, in no form that S3 has, is not available for the time being.
func TestUnavailable(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	target, err := url.Parse(server.Endpoint)
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Int32
	forward := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) {
		r.SetURL(target)
		r.Out.Host = r.In.Host // for which the request is signed
	}}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if code := int(status.Load()); code != 0 {
			http.Error(w, "try later", code)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	c := config(server, "unavailable")
	c.Endpoint = proxy.URL
	store, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, code := range []int{429, 500, 502, 503, 504} {
		status.Store(int32(code))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		if _, err := store.Stat(ctx, "a"); !errors.Is(err, objstore.ErrUnavailable) {
			t.Errorf("Stat answered %d: %v", code, err)
		}
		if _, err := store.Put(ctx, "a", strings.NewReader("b"), objstore.PutOptions{Size: 1}); !errors.Is(err, objstore.ErrUnavailable) {
			t.Errorf("Put answered %d: %v", code, err)
		}
		cancel()
	}
}

func TestTwoGatewaysCreateOneBucket(t *testing.T) {
	t.Parallel()
	server := s3test.Start(t)
	errs := make(chan error, 4)
	for range cap(errs) {
		go func() {
			s, err := s3.Open(t.Context(), config(server, "shared"))
			if err == nil {
				err = s.Check(t.Context())
			}
			errs <- err
		}()
	}
	for range cap(errs) {
		if err := <-errs; err != nil {
			t.Error(err)
		}
	}
}

func TestCredentialsRedactThemselves(t *testing.T) {
	t.Parallel()
	c := s3.Config{Endpoint: "http://user:hidden@host", Bucket: "bucket", AccessKey: "hidden", SecretKey: "hidden"}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("config", "s3", c, "secret", c.SecretKey)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("config", "s3", c, "secret", c.SecretKey)
	b, err := json.Marshal(c.SecretKey)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{log.String(), string(b), fmt.Sprint(c.SecretKey), fmt.Sprintf("%v %+v %#v %q", c.SecretKey, c.SecretKey, c.SecretKey, c.SecretKey)} {
		if strings.Contains(text, "hidden") {
			t.Errorf("shows the secret: %s", text)
		}
	}
}

// Executors may know the service under another name than the gateway.
func TestSignEndpoint(t *testing.T) {
	t.Parallel()
	c := config(s3test.Start(t), "elsewhere")
	c.SignEndpoint = "https://s3.example:9000"
	s, err := s3.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	r, err := s.SignGet(t.Context(), "a/b", 0)
	if err != nil || !strings.HasPrefix(r.URL, "https://s3.example:9000/elsewhere/a/b?") {
		t.Errorf("%s, %v", r.URL, err)
	}
}
