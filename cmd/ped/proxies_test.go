package main

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
)

// longestWait is what a gateway cuts ?wait= to: for so long a proxy may hear nothing.
const longestWait = 5 * time.Minute

// TestProxies: the examples let through what the API does that others do not.
func TestProxies(t *testing.T) {
	t.Parallel()
	nginx, caddy := deployed(t, "nginx.conf"), deployed(t, "Caddyfile")
	for _, directive := range []string{
		"proxy_http_version 1.1;", `proxy_set_header Connection "";`, "proxy_buffering off;", "proxy_request_buffering off;",
		"proxy_set_header Host $host;", "proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;",
	} {
		if !strings.Contains(nginx, "\n        "+directive+"\n") {
			t.Errorf("nginx.conf lacks %s", directive)
		}
	}
	if !strings.Contains(caddy, "flush_interval -1") {
		t.Error("the Caddyfile holds streams back")
	}
	minutes := number(t, nginx, `proxy_read_timeout (\d+)m;`)
	if wait := time.Duration(minutes) * time.Minute; wait <= longestWait {
		t.Errorf("nginx gives an answer up after %s, and a gateway takes up to %s", wait, longestWait)
	}
	for _, size := range []int64{number(t, nginx, `client_max_body_size (\d+)g;`) << 30, number(t, caddy, `max_size (\d+)GiB`) << 30} {
		if size < objstore.MaxObjectSize {
			t.Errorf("a proxy takes bodies of %d bytes, and an input may have %d", size, int64(objstore.MaxObjectSize))
		}
	}
	for name, text := range map[string]string{"nginx.conf": nginx, "Caddyfile": caddy} {
		if !strings.Contains(text, strings.TrimPrefix(defaultListen, "127.0.0.1")) || !strings.Contains(text, "--trusted-proxy") {
			t.Errorf("%s does not say where a gateway is and what it must be told", name)
		}
	}
}

func number(t *testing.T, text, pattern string) int64 {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("nothing matches %s", pattern)
	}
	n, err := strconv.ParseInt(found[1], 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestProxiesVerified asks Caddy itself, where it is.
func TestProxiesVerified(t *testing.T) {
	t.Parallel()
	caddy, err := exec.LookPath("caddy")
	if err != nil {
		t.Log("no caddy here: the Caddyfile is not verified by it")
		return
	}
	if out, err := exec.CommandContext(t.Context(), caddy, "adapt", "--adapter", "caddyfile", "--config", filepath.Join("..", "..", "deploy", "Caddyfile")).CombinedOutput(); err != nil {
		t.Errorf("caddy adapt: %v\n%s", err, out)
	}
}
