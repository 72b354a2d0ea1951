package api

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

func FuzzLastEventID(f *testing.F) {
	for _, seed := range []string{"0.0.0", "1.6.0", "2147483647.1125899906842624.7", "1.2", "1.2.3.4", "-1.0.0", "+1.0.0", "01.0.0", "1..0", "", "9e9.0.0", "1.0.18446744073709551616"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		p, err := parsePosition(s)
		if err != nil {
			return
		}
		if p.String() != s || p.Attempt < 0 || p.Stdout < 0 || p.Stderr < 0 || p.Stdout > maxPosition || p.Stderr > maxPosition {
			t.Errorf("%q is read as %+v", s, p)
		}
	})
}

// The query of a tenant's events is read, or refused as the client's fault.
func FuzzEventQuery(f *testing.F) {
	for _, seed := range []string{"", "since=0", "since=18446744073709551616", "since=-1", "since=007", "output=1&state=queued,dead", "output=2", "label=a=b&label=c", "label==", "state=x"} {
		f.Add(seed, "")
	}
	f.Add("since=1", "4611686018427387905")
	f.Fuzz(func(t *testing.T, query, id string) {
		r := &http.Request{URL: &url.URL{RawQuery: query}, Header: http.Header{"Last-Event-Id": {id}}}
		q, err := eventQuery(r)
		if err != nil {
			if p := problemOf(err); p.Status != kindMalformed.status {
				t.Errorf("%q %q: %v", query, id, err)
			}
			return
		}
		if q.After > maxRevision || q.Now && q.After != 0 || len(q.Labels) > schemas.MaxLabels || id != "" && revision(q.After).String() != id {
			t.Errorf("%q %q is read as %+v", query, id, q)
		}
	})
}

// Whatever bytes a name has, its escaped form leads to it and to nothing else;
// and no path at all upsets the mux.
func FuzzOutputPath(f *testing.F) {
	for _, seed := range []string{"a", "a/b", "a%2fb", "%00", "..", "a/../b", "%2e%2e/x", "new\nline", "\xff\xfe", "%zz", "a//b", "a/", "ü?#", "%25%32%66"} {
		f.Add(seed)
	}
	var got string
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/jobs/{id}/outputs/{path...}", func(_ http.ResponseWriter, r *http.Request) { got = r.PathValue("path") })
	f.Fuzz(func(t *testing.T, name string) {
		parts := strings.Split(name, "/")
		for i, p := range parts {
			parts[i] = url.PathEscape(p)
		}
		escaped := "/v1/jobs/j/outputs/" + strings.Join(parts, "/")
		u, err := url.ParseRequestURI(escaped)
		if err != nil {
			t.Fatalf("%q: %v", escaped, err)
		}
		got = "\x00nothing"
		if cleanPath(u.EscapedPath()) {
			mux.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: "GET", URL: u, Host: "localhost", Header: http.Header{}})
			if got != name {
				t.Errorf("%q leads to %q", escaped, got)
			}
		}
		if raw, err := url.ParseRequestURI("/v1/jobs/j/outputs/" + name); err == nil && cleanPath(raw.EscapedPath()) {
			mux.ServeHTTP(httptest.NewRecorder(), &http.Request{Method: "GET", URL: raw, Host: "localhost", Header: http.Header{}})
		}
	})
}

func FuzzHost(f *testing.F) {
	for _, seed := range []string{"localhost", "localhost:80", "127.0.0.1:1", "[::1]:7300", "[::1", "::1", "a.localhost", "localhost.", "127.0.0.1.example", "0x7f.1", "2130706433", "[::ffff:127.0.0.1]:1", "localhost:0", "[fe80::1%lo]:1"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		if !loopbackHost(host) {
			return
		}
		lower := strings.ToLower(host)
		if !strings.Contains(lower, "localhost") && !strings.Contains(lower, "127.") && !strings.Contains(lower, "::") && !strings.Contains(lower, "0:") {
			t.Errorf("%q counts as loopback", host)
		}
	})
}

func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"a.txt", `a"b`, "a\r\nX: y", "\xff", "ü", "%41", "../x", ";"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		h := http.Header{}
		markHostile(h, name, "text/html")
		got := h.Get("Content-Disposition")
		if strings.ContainsAny(got, "\r\n\x00") || strings.Count(got, `"`) != 2 || !strings.HasPrefix(got, "attachment; ") {
			t.Errorf("%q: %q", name, got)
		}
	})
}
