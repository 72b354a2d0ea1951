package api

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

func TestForeignPagesAreKeptOut(t *testing.T) {
	t.Parallel()
	h := start(t)
	own := strings.TrimPrefix(h.url, "http://")
	_, port, _ := strings.Cut(own, ":")
	cases := []struct {
		name    string
		header  []string
		allowed bool
	}{
		{"own address", nil, true},
		{"localhost", []string{"Host", "localhost:" + port}, true},
		{"name below localhost", []string{"Host", "pe.localhost:" + port}, true},
		{"another port, as through a tunnel", []string{"Host", "127.0.0.1:9"}, true},
		{"ipv6", []string{"Host", "[::1]:" + port}, true},
		{"another loopback address", []string{"Host", "127.8.8.8"}, true},
		{"rebound name", []string{"Host", "attacker.example:" + port}, false},
		{"name that begins like ours", []string{"Host", "localhost.attacker.example:" + port}, false},
		{"address that begins like ours", []string{"Host", "127.0.0.1.attacker.example"}, false},
		{"address of the network", []string{"Host", "192.168.1.2:" + port}, false},
		{"user in host", []string{"Host", "localhost@attacker.example"}, false},
		{"no port behind the colon", []string{"Host", "localhost:x"}, false},
		{"own origin", []string{"Origin", h.url}, true},
		{"foreign origin", []string{"Origin", "https://attacker.example"}, false},
		{"other port's origin", []string{"Origin", "http://127.0.0.1:1"}, false},
		{"other scheme", []string{"Origin", "https://" + own}, false},
		{"sandboxed origin", []string{"Origin", "null"}, false},
		{"cross-site without origin", []string{"Sec-Fetch-Site", "cross-site"}, false},
		{"same site, other origin", []string{"Sec-Fetch-Site", "same-site"}, false},
		{"same origin", []string{"Sec-Fetch-Site", "same-origin"}, true},
		{"through a proxy", []string{"Via", "1.1 proxy"}, false},
		{"through a proxy that knows no client", []string{"X-Forwarded-For", ""}, false},
		{"through a proxy with TLS", []string{"X-Forwarded-Proto", "https"}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if c.allowed {
				ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", `{"image":"gcc"}`, c.header...)
				return
			}
			h.refused(t, kindForbidden, "POST", "/v1/jobs", `{"image":"gcc"}`, c.header...)
			if !strings.HasPrefix(c.name, "cross-site") && !strings.HasPrefix(c.name, "same site") {
				h.refused(t, kindForbidden, "GET", "/v1/jobs", "", c.header...)
				h.refused(t, kindForbidden, "GET", "/livez", "", c.header...)
			}
		})
	}
}

// TestPlainProxyIsKeptOut: nginx with proxy_pass and nothing else sends no header
// that tells, but HTTP/1.0 and the address that it was given.
func TestPlainProxyIsKeptOut(t *testing.T) {
	t.Parallel()
	h := start(t)
	own := strings.TrimPrefix(h.url, "http://")
	for _, c := range []struct {
		request string
		status  int
	}{
		{"GET /v1/jobs HTTP/1.0\r\nHost: " + own + "\r\nConnection: close\r\nUser-Agent: curl/8\r\n\r\n", http.StatusForbidden},
		{"GET /v1/jobs HTTP/1.1\r\nHost: " + own + "\r\nConnection: close\r\nUser-Agent: curl/8\r\n\r\n", http.StatusOK},
		{"GET /livez HTTP/1.0\r\nHost: " + own + "\r\n\r\n", http.StatusOK}, // as load balancers ask
	} {
		conn, err := net.Dial("tcp", own)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if _, err := io.WriteString(conn, c.request); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != c.status || err != nil || c.status == http.StatusForbidden && !strings.Contains(string(body), "make an access token") {
			t.Errorf("%q: %d %s, %v", c.request, resp.StatusCode, body, err)
		}
	}
}

func TestBodiesMustBeDeclaredAsJSON(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, media := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=latin1", "application/jsonx", ";", ""} {
		h.refused(t, kindMediaType, "POST", "/v1/jobs", `{"image":"gcc"}`, "Content-Type", media)
		h.refused(t, kindMediaType, "POST", "/v1/blobs/missing", `{"sha256":[]}`, "Content-Type", media)
	}
	h.refused(t, kindMediaType, "POST", "/v1/jobs", `{"image":"gcc"}`, "Content-Encoding", "gzip")
	ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", `{"image":"gcc"}`, "Content-Type", "application/json; charset=UTF-8")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	const alice, bob = "alice-0123456789abcdef", "bob-0123456789abcdef"
	h := start(t, withTokens(t, token(t, alice, "alice"), token(t, bob, "bob")))
	as := func(secret string) []string { return []string{"Authorization", "Bearer " + secret} }
	job := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", `{"image":"gcc"}`, as(alice)...)
	if job.Tenant != "alice" {
		t.Errorf("tenant %q", job.Tenant)
	}
	h.refused(t, kindNotFound, "GET", "/v1/jobs/"+job.ID, "", as(bob)...)
	// With tokens, names and origins may be any: a browser has no token to send.
	ask[schemas.Job](t, h, http.StatusOK, "GET", "/v1/jobs/"+job.ID, "", append(as(alice), "Host", "pe.example")...)
	for _, header := range [][]string{nil, as("wrong-0123456789abcdef"), {"Authorization", "Basic " + alice}, {"Authorization", alice}, as(""), as(alice + "x")} {
		resp := h.request(t, "GET", "/v1/jobs", "", header...)
		if resp.StatusCode != http.StatusUnauthorized || !strings.HasPrefix(resp.Header.Get("WWW-Authenticate"), "Bearer") {
			t.Errorf("%v: status %d, WWW-Authenticate %q", header, resp.StatusCode, resp.Header.Get("WWW-Authenticate"))
		}
		h.refused(t, kindUnauthorized, "GET", "/v1/executors", "", header...)
	}
	for _, public := range []string{"/livez", "/readyz", "/openapi.json", "/"} {
		ask[map[string]any](t, h, http.StatusOK, "GET", public, "")
	}
	h.request(t, "GET", "/v1/jobs?signature=s3cr3t", "", as(alice)...)
	if log := h.logged(); strings.Contains(log, alice) || strings.Contains(log, "s3cr3t") {
		t.Error("the log holds a token or a query")
	}
}

func TestTokensMustBeGood(t *testing.T) {
	t.Parallel()
	for _, c := range [][2]string{{"short", "a"}, {strings.Repeat("x", 20) + " ", "a"}, {strings.Repeat("ü", 20), "a"}, {strings.Repeat("x", 20), "Not A Tenant"}} {
		if _, err := access.NewToken(c[0], c[1]); err == nil || strings.Contains(err.Error(), c[0]) {
			t.Errorf("%q for %q: %v", c[0], c[1], err)
		}
	}
}

func TestWhatIsNotThere(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.refused(t, kindNotFound, "GET", "/v2/jobs", "")
	h.refused(t, kindNotFound, "GET", "/v1//jobs", "")
	h.refused(t, kindNotFound, "GET", "/v1/../v1/jobs", "")
	h.refused(t, kindNotFound, "GET", "/v1/jobs/nonsense", "")
	h.refused(t, kindNotFound, "GET", "/v1/jobs/j0000000000000000000000000", "")
	h.refused(t, kindNotFound, "DELETE", "/v1/jobs/j0000000000000000000000000", "")
	for path, allow := range map[string]string{"/v1/jobs": "GET, HEAD, POST", "/livez": "GET, HEAD", "/v1/blobs/x": "PUT"} {
		for _, method := range []string{"PATCH", "OPTIONS", "TRACE"} {
			resp := h.request(t, method, path, "")
			if resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != allow || resp.Header.Get("Content-Type") != "application/problem+json" {
				t.Errorf("%s %s: %d, allow %q, %s", method, path, resp.StatusCode, resp.Header.Get("Allow"), resp.Header.Get("Content-Type"))
			}
		}
	}
	h.refused(t, kindTooLarge, "GET", "/v1/jobs", "a body where none belongs")
	if resp := h.request(t, "HEAD", "/v1/jobs", ""); resp.StatusCode != http.StatusOK {
		t.Errorf("HEAD: %d", resp.StatusCode)
	}
}

func TestInternalErrorsAreBland(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.Images = nil })
	h.api.Images = func(_ context.Context) (schemas.ImageList, error) { panic("secret detail") }
	p := h.refused(t, kindInternal, "GET", "/v1/images", "")
	if strings.Contains(p.Detail+p.Hint+p.Title, "secret") {
		t.Errorf("the user sees %+v", p)
	}
	if n := strings.Count(h.logged(), "panic: secret detail"); n != 1 {
		t.Errorf("the detail is logged %d times", n)
	}
	h.jobs.down = errNotReady
	h.refused(t, kindUnavailable, "GET", "/v1/images", "")
}

func TestReadinessNamesWhatIsNotReady(t *testing.T) {
	t.Parallel()
	var broken error
	h := start(t, func(c *Config) {
		c.Checks = map[string]func(context.Context) error{"image registry": func(context.Context) error { return broken }}
	})
	if got := ask[health](t, h, http.StatusOK, "GET", "/readyz", ""); got.Parts["store"] != "ok" || got.Parts["image registry"] != "ok" || got.Status != "ok" {
		t.Errorf("%+v", got)
	}
	h.jobs.down = errNotReady
	got := ask[health](t, h, http.StatusServiceUnavailable, "GET", "/readyz", "")
	if got.Parts["coordinator"] != "not ready" || got.Parts["store"] != "ok" {
		t.Errorf("%+v", got)
	}
	for err, want := range map[error]string{
		Reason("it is closed"): "it is closed", fmt.Errorf("dial secret: %w", Reason("it is closed")): "it is closed",
		errors.New("dial secret"): "",
	} {
		broken = err
		if got := ask[health](t, h, http.StatusServiceUnavailable, "GET", "/readyz", ""); got.Parts["image registry"] != "not ready" || got.Reasons["image registry"] != want {
			t.Errorf("of %q is told %+v, want %q", err, got, want)
		}
	}
	ask[health](t, h, http.StatusOK, "GET", "/livez", "")
}

func TestMetricsCountByRoute(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.submit(t, `{"image":"gcc"}`)
	h.request(t, "GET", "/v1/jobs/j0000000000000000000000000", "")
	h.request(t, "BREW", "/nowhere/special", "")
	page := h.text(t, "/metrics")
	for _, want := range []string{
		`pe_http_requests_total{method="POST",route="/v1/jobs",status="202"} 1`,
		`pe_http_requests_total{method="GET",route="/v1/jobs/{id}",status="404"} 1`,
		`pe_http_requests_total{method="other",route="unmatched",status="404"} 1`,
	} {
		if !strings.Contains(page, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(page, "special") || strings.Contains(page, "j000") {
		t.Error("metrics hold paths")
	}
}

func TestIndexSaysWhatThisIs(t *testing.T) {
	t.Parallel()
	h := start(t)
	if got := ask[welcome](t, h, http.StatusOK, "GET", "/", ""); got.Links["jobs"] != "/v1/jobs" || got.Version != "test" {
		t.Errorf("%+v", got)
	}
	resp := h.request(t, "GET", "/", "", "Accept", "text/html,application/xhtml+xml;q=0.9,*/*;q=0.8")
	if !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") || !strings.Contains(resp.Header.Get("Content-Security-Policy"), "default-src 'none'") {
		t.Errorf("%v", resp.Header)
	}
}
