package api

import (
	"bufio"
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// withBucket keeps tokens in a real bucket.
func withBucket(t *testing.T) func(*Config) {
	t.Helper()
	tokens := access.NewTokens(nil, queuetest.Start(t).Gateway(t, nil).Tokens, nil)
	return func(c *Config) { c.Tokens = tokens }
}

const firstToken = `{"tenant":"*","scopes":["admin"]}`

func bearing(made schemas.NewAccessToken) []string {
	return []string{"Authorization", "Bearer " + made.Secret}
}

// From a gateway that needs no token to one for two tenants, over HTTP alone.
func TestTokensOverHTTP(t *testing.T) {
	t.Parallel()
	h := start(t, withBucket(t))
	h.submit(t, `{"image":"gcc"}`)
	h.refused(t, kindConflict, "POST", "/v1/tokens", `{"scopes":["admin"]}`)
	system := ask[schemas.NewAccessToken](t, h, http.StatusCreated, "POST", "/v1/tokens", firstToken)
	for _, rt := range h.api.routes() {
		if !rt.public {
			h.refused(t, kindUnauthorized, rt.method, concrete(rt.pattern), "")
		}
	}
	h.refused(t, kindScope, "GET", "/v1/jobs", "", bearing(system)...)
	own := ask[schemas.NewAccessToken](t, h, http.StatusCreated, "POST", "/v1/tokens", `{"tenant":"local","name":"laptop","lifetime_ms":60000}`, bearing(system)...)
	if list := ask[schemas.JobList](t, h, http.StatusOK, "GET", "/v1/jobs", "", bearing(own)...); len(list.Jobs) != 1 {
		t.Errorf("the single user's jobs: %+v", list)
	}
	h.refused(t, kindScope, "GET", "/v1/tokens", "", bearing(own)...)
	if list := ask[schemas.AccessTokenList](t, h, http.StatusOK, "GET", "/v1/tokens", "", bearing(system)...); len(list.Tokens) != 2 || list.Tokens[0].ID != own.ID {
		t.Errorf("listed %+v", list)
	}
	h.text(t, "/metrics", bearing(system)...)
	h.refused(t, kindConflict, "DELETE", "/v1/tokens/"+system.ID, "", bearing(system)...)
	ask[schemas.AccessToken](t, h, http.StatusOK, "DELETE", "/v1/tokens/"+own.ID, "", bearing(system)...)
	h.refused(t, kindNotFound, "DELETE", "/v1/tokens/0123456789abcdef", "", bearing(system)...)
	h.refused(t, kindNotFound, "DELETE", "/v1/tokens/local.x", "", bearing(system)...)
	h.refused(t, kindUnauthorized, "GET", "/v1/jobs", "", bearing(own)...)
	second := ask[schemas.NewAccessToken](t, h, http.StatusCreated, "POST", "/v1/tokens", firstToken, bearing(system)...)
	if gone := ask[schemas.AccessToken](t, h, http.StatusOK, "DELETE", "/v1/tokens/"+second.ID, "", bearing(second)...); gone.RevokedUS == 0 {
		t.Errorf("one that revokes itself is told %+v", gone)
	}
	if log := h.logged(); strings.Contains(log, system.Secret) || strings.Contains(log, own.Secret) {
		t.Error("the log holds a secret")
	}
}

func TestTokenRequestsAreLookedAt(t *testing.T) {
	t.Parallel()
	h := start(t, withBucket(t))
	for _, body := range []string{
		`{"tenant":"Not A Tenant"}`, `{"scopes":["everything"]}`, `{"lifetime_ms":-1}`, `{"lifetime_ms":1e18}`, `{"name":"a\u0007b"}`, `{"secret":"mine"}`,
		`{"tenant":"*","scopes":["submit","admin"]}`,
	} {
		h.refused(t, kindInvalidToken, "POST", "/v1/tokens", body)
	}
	h.refused(t, kindMalformed, "POST", "/v1/tokens", `{`)
	h.refused(t, kindTooLarge, "POST", "/v1/tokens", strings.Repeat(" ", schemas.MaxTokenRequestBytes+1))
}

// A page of another site must not make the first token, and with it itself the
// master of a gateway that has none.
func TestForeignPagesMakeNoToken(t *testing.T) {
	t.Parallel()
	h := start(t, withBucket(t))
	for _, header := range [][]string{
		{"Origin", "https://attacker.example"}, {"Origin", "null"}, {"Host", "attacker.example"}, {"Sec-Fetch-Site", "cross-site"},
		{"X-Forwarded-For", "192.0.2.1"}, {"Forwarded", "for=192.0.2.1"}, {"X-Forwarded-Host", "pe.example"}, {"X-Real-IP", "192.0.2.1"},
	} {
		h.refused(t, kindForbidden, "POST", "/v1/tokens", firstToken, header...)
		h.refused(t, kindForbidden, "DELETE", "/v1/tokens/0123456789abcdef", "", header...)
	}
	h.refused(t, kindMediaType, "POST", "/v1/tokens", firstToken, "Content-Type", "text/plain")
	ask[schemas.NewAccessToken](t, h, http.StatusCreated, "POST", "/v1/tokens", firstToken)
}

// What is being done with a token ends with it: a long poll is refused, a
// stream is broken off.
func TestRevocationEndsWhatIsBeingDone(t *testing.T) {
	t.Parallel()
	h := start(t, withBucket(t))
	id := h.submit(t, `{"image":"gcc"}`).ID
	system := ask[schemas.NewAccessToken](t, h, http.StatusCreated, "POST", "/v1/tokens", firstToken)
	own := ask[schemas.NewAccessToken](t, h, http.StatusCreated, "POST", "/v1/tokens", `{"tenant":"local"}`, bearing(system)...)
	stream := bufio.NewReader(h.request(t, "GET", "/v1/jobs/"+id+"/logs?follow=1", "", bearing(own)...).Body)
	if line, err := stream.ReadString('\n'); err != nil || !strings.HasPrefix(line, "id: ") {
		t.Fatalf("the stream begins with %q, %v", line, err)
	}
	waiting := make(chan int, 1)
	go func() {
		req, err := http.NewRequestWithContext(t.Context(), "GET", h.url+"/v1/jobs/"+id+"?wait=1m", nil)
		if err != nil {
			waiting <- 0
			return
		}
		req.Header.Set("Authorization", "Bearer "+own.Secret)
		resp, err := http.DefaultTransport.RoundTrip(req)
		if err != nil {
			waiting <- 0
			return
		}
		resp.Body.Close()
		waiting <- resp.StatusCode
	}()
	h.jobs.awaitWaiters(t, 1)
	ask[schemas.AccessToken](t, h, http.StatusOK, "DELETE", "/v1/tokens/"+own.ID, "", bearing(system)...)
	if status := <-waiting; status != http.StatusUnauthorized {
		t.Errorf("the long poll was answered with %d", status)
	}
	for {
		line, err := stream.ReadString('\n')
		if err != nil {
			break
		}
		if strings.HasPrefix(line, "event: end") {
			t.Error("the stream ended as if the job had")
		}
	}
}
