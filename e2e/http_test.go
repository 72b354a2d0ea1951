package e2e

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

// post submits a body as it is, after change has had the request.
func (s server) post(t *testing.T, body string, change func(*http.Request)) (int, schemas.ProblemDocument) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/v1/jobs", strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if change != nil {
		change(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var problem schemas.ProblemDocument
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode >= 400 {
		if err := json.Unmarshal(text, &problem); err != nil || resp.Header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s, no problem document: %s (%v)", resp.Status, text, err)
		}
	}
	return resp.StatusCode, problem
}

// TestForeignPagesAreRefused: DNS rebinding and requests from other sites.
func TestForeignPagesAreRefused(t *testing.T) {
	t.Parallel()
	s := shared(t)
	for name, change := range map[string]func(*http.Request){
		"host":         func(r *http.Request) { r.Host = "evil.example" },
		"origin":       func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		"no origin":    func(r *http.Request) { r.Header.Set("Origin", "null") },
		"content type": func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
		"form":         func(r *http.Request) { r.Header.Set("Content-Type", "application/x-www-form-urlencoded") },
	} {
		status, problem := s.post(t, `{"image":"busybox","args":["true"]}`, change)
		if status < 400 || status >= 500 || problem.Title == "" {
			t.Errorf("foreign %s: status %d, %+v", name, status, problem)
		}
	}
}

// TestBodyTooLarge: a specification has a bound.
func TestBodyTooLarge(t *testing.T) {
	t.Parallel()
	status, _ := shared(t).post(t, `{"image":"`+strings.Repeat("x", schemas.MaxSpecBytes)+`"}`, nil)
	if status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", status)
	}
}
