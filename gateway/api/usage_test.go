package api

import (
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

func TestUsage(t *testing.T) {
	t.Parallel()
	h := start(t)
	u := ask[schemas.TenantUsage](t, h, http.StatusOK, "GET", "/v1/usage", "")
	if u.Tenant != schemas.SingleTenant || u.RequestsPerS != 0 {
		t.Errorf("usage of the single user %+v", u)
	}
	const alice = "alice-0123456789abcdef"
	limits, err := access.NewLimits(50, 0)
	if err != nil {
		t.Fatal(err)
	}
	h = start(t, withTokens(t, token(t, alice, "alice", schemas.ScopeRead)), func(c *Config) { c.Limits = limits })
	u = ask[schemas.TenantUsage](t, h, http.StatusOK, "GET", "/v1/usage", "", "Authorization", "Bearer "+alice)
	if u.Tenant != "alice" || u.RequestsPerS != 50 || u.RequestsAtOnce != 100 {
		t.Errorf("usage of alice %+v", u)
	}
}

// chunked hides a body's size.
type chunked struct{ io.Reader }

// TestUploadOverTheCap: it is refused, before it is read if its size is known;
// nothing is stored of it, and its room is given back.
func TestUploadOverTheCap(t *testing.T) {
	t.Parallel()
	h := start(t)
	h.jobs.maxStored = 10
	put := func(content, claim string, sized bool) *http.Response {
		sum := sha256.Sum256([]byte(claim))
		req, err := http.NewRequestWithContext(t.Context(), "PUT", h.url+"/v1/blobs/"+hex.EncodeToString(sum[:]), chunked{strings.NewReader(content)})
		if err != nil {
			t.Fatal(err)
		}
		if sized {
			req.ContentLength = int64(len(content))
		}
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	for _, step := range []struct {
		content, claim string
		status         int
		stored         int64
	}{
		{"123456", "", http.StatusCreated, 6},
		{"123456", "", http.StatusOK, 6},                    // it is there
		{"abcdef", "", http.StatusTooManyRequests, 6},       // 12 would be too many
		{"bad!", "else", http.StatusUnprocessableEntity, 6}, // as if it had not been sent
		{"abcd", "", http.StatusCreated, 10},                // exactly
		{"", "", http.StatusTooManyRequests, 10},            // nothing more, not even nothing
		{"123456", "", http.StatusOK, 10},                   // what is there is still there
		{strings.Repeat("x", 1<<20), "", http.StatusTooManyRequests, 10},
	} {
		for _, sized := range []bool{true, false} {
			if step.status == http.StatusCreated && !sized {
				continue // it is there now
			}
			claim := step.claim
			if claim == "" {
				claim = step.content
			}
			resp := put(step.content, claim, sized)
			if resp.StatusCode != step.status || h.jobs.storedOf(schemas.SingleTenant) != step.stored {
				t.Errorf("%.10q, sized %v: %s with %d stored, want %d with %d", step.content, sized, resp.Status, h.jobs.storedOf(schemas.SingleTenant), step.status, step.stored)
			}
			if after := resp.Header.Get("Retry-After"); (resp.StatusCode == http.StatusTooManyRequests) != (after == "600") {
				t.Errorf("%s with Retry-After %q", resp.Status, after)
			}
		}
	}
	h.refused(t, kindTooMuchStored, "PUT", "/v1/blobs/"+strings.Repeat("0", 64), "x")
	if keys, err := h.store.List(t.Context(), "", "", 0); err != nil || len(keys) != 2 {
		t.Errorf("stored %v, %v", keys, err)
	}
}

func TestUploadInChunksIsCounted(t *testing.T) {
	t.Parallel()
	h := start(t)
	sum := sha256.Sum256([]byte("123456"))
	req, err := http.NewRequestWithContext(t.Context(), "PUT", h.url+"/v1/blobs/"+hex.EncodeToString(sum[:]), chunked{strings.NewReader("123456")})
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if got := h.jobs.storedOf(schemas.SingleTenant); resp.StatusCode != http.StatusCreated || got != 6 {
		t.Errorf("%s, %d stored", resp.Status, got)
	}
}
