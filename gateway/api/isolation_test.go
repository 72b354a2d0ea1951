package api

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// attempts says for every route how another tenant would try to get at what is
// not his, and what he must be answered. JOB, BLOB, TOKEN, HOOK and DELIVERY stand for what the
// first tenant has. A route that is not here fails the test.
var attempts = map[string]struct {
	path, body string
	status     int
}{
	"POST /v1/jobs":                            {"/v1/jobs", `{"image":"gcc","args":["x"],"files":{"f":{"sha256":"sha256:BLOB"}}}`, 422},
	"POST /v1/jobs:batch":                      {"/v1/jobs:batch", `{"mode":"all","jobs":[{"image":"gcc","args":["x"],"files":{"f":{"sha256":"sha256:BLOB"}}}]}`, 422},
	"GET /v1/jobs":                             {"/v1/jobs?label=owner=alices-label", "", 200},
	"GET /v1/events":                           {"/v1/events?since=0&output=1", "", 200}, // see below for whose they are
	"GET /v1/jobs/{id}":                        {"/v1/jobs/JOB?wait=1s", "", 404},
	"DELETE /v1/jobs/{id}":                     {"/v1/jobs/JOB", "", 404},
	"POST /v1/jobs/{id}:retry":                 {"/v1/jobs/JOB:retry", "", 404},
	"POST /v1/jobs/{id}:drop":                  {"/v1/jobs/JOB:drop", "", 404},
	"GET /v1/jobs/{id}/logs":                   {"/v1/jobs/JOB/logs?follow=1", "", 404},
	"GET /v1/jobs/{id}/outputs":                {"/v1/jobs/JOB/outputs", "", 404},
	"GET /v1/jobs/{id}/outputs/{path...}":      {"/v1/jobs/JOB/outputs/alices-output", "", 404},
	"PUT /v1/blobs/{sha256}":                   {"/v1/blobs/BLOB", alicesInput, 201}, // 200 would tell that it is there
	"POST /v1/blobs/missing":                   {"/v1/blobs/missing", `{"sha256":["sha256:BLOB"]}`, 200},
	"GET /v1/cache":                            {"/v1/cache", "", 200},
	"DELETE /v1/cache":                         {"/v1/cache", "", 200},
	"GET /v1/usage":                            {"/v1/usage", "", 200},
	"POST /v1/admin/sweep":                     {"/v1/admin/sweep", `{"dry_run":true}`, 403},
	"POST /v1/webhooks":                        {"/v1/webhooks", `{"url":"https://example.org/"}`, 201},
	"GET /v1/webhooks":                         {"/v1/webhooks", "", 200},
	"GET /v1/webhooks/{id}":                    {"/v1/webhooks/HOOK", "", 404},
	"PATCH /v1/webhooks/{id}":                  {"/v1/webhooks/HOOK", `{"enabled":false}`, 404},
	"DELETE /v1/webhooks/{id}":                 {"/v1/webhooks/HOOK", "", 404},
	"POST /v1/webhooks/{id}:test":              {"/v1/webhooks/HOOK:test", "", 404},
	"POST /v1/webhooks/{id}:rotate":            {"/v1/webhooks/HOOK:rotate", `{}`, 404},
	"GET /v1/webhooks/secret":                  {"/v1/webhooks/secret", "", 200},
	"POST /v1/webhooks/secret:rotate":          {"/v1/webhooks/secret:rotate", `{}`, 200},
	"GET /v1/webhooks/deliveries":              {"/v1/webhooks/deliveries", "", 200},
	"POST /v1/webhooks/deliveries/{id}:replay": {"/v1/webhooks/deliveries/DELIVERY:replay", "", 404},
	"PUT /v1/campaigns/{name}":                 {"/v1/campaigns/bobs", `{}`, 201},
	"GET /v1/campaigns":                        {"/v1/campaigns", "", 200},
	"GET /v1/campaigns/{name}":                 {"/v1/campaigns/alices-campaign?wait=1s", "", 404},
	"POST /v1/campaigns/{name}:close":          {"/v1/campaigns/alices-campaign:close", "", 404},
	"DELETE /v1/campaigns/{name}":              {"/v1/campaigns/alices-campaign", "", 404},
	"GET /v1/executors":                        {"/v1/executors", "", 200},
	"GET /v1/images":                           {"/v1/images", "", 200},
	"POST /v1/tokens":                          {"/v1/tokens", `{"tenant":"local","scopes":["read"]}`, 403},
	"GET /v1/tokens":                           {"/v1/tokens", "", 200},
	"DELETE /v1/tokens/{id}":                   {"/v1/tokens/TOKEN", "", 404},
	"GET /metrics":                             {"/metrics", "", 403},
	"GET /livez":                               {"/livez", "", 200},
	"GET /readyz":                              {"/readyz", "", 200},
	"GET /openapi.json":                        {"/openapi.json", "", 200},
	"GET /{$}":                                 {"/", "", 200},
	"GET " + objectsPrefix + "tenant/in/sum":   {objectsPrefix + "local/in/BLOB", "", 403},
}

const alicesInput = "alices-input"

// TestNothingOfOneTenantIsSeenByAnother walks every route as another tenant,
// whose token allows everything within his own.
func TestNothingOfOneTenantIsSeenByAnother(t *testing.T) {
	t.Parallel()
	const alice, bob = "alice-0123456789abcdef", "bob-0123456789abcdef"
	queue := queuetest.Start(t).Gateway(t, nil)
	tokens := access.NewTokens([]access.Token{token(t, alice, "", schemas.ScopeAdmin), token(t, bob, "bob", schemas.ScopeAdmin)}, queue.Tokens, nil)
	outbox := newOutbox(t)
	all := newCampaigns(t, queue, noJobs{})
	h := start(t, func(c *Config) { c.Tokens, c.Webhooks, c.Campaigns = tokens, outbox, all })
	as := func(secret string) []string { return []string{"Authorization", "Bearer " + secret} }

	sum := strings.TrimPrefix(objectOf("", []byte(alicesInput)).SHA256, schemas.DigestPrefix)
	ask[schemas.Blob](t, h, http.StatusCreated, "PUT", "/v1/blobs/"+sum, alicesInput, as(alice)...)
	job := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", `{"image":"gcc","labels":{"owner":"alices-label"},"args":["alices-args"],"files":{"f":{"sha256":"sha256:`+sum+`"}}}`, as(alice)...)
	running := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", `{"image":"gcc"}`, as(alice)...)
	made := ask[schemas.NewAccessToken](t, h, http.StatusCreated, "POST", "/v1/tokens", `{"name":"alices-token"}`, as(alice)...)
	hook := ask[schemas.Webhook](t, h, http.StatusCreated, "POST", "/v1/webhooks", `{"url":"http://127.0.0.1:1/alices-hook"}`, as(alice)...)
	delivery := ask[schemas.Delivery](t, h, http.StatusOK, "POST", "/v1/webhooks/"+hook.ID+":test", "", as(alice)...)
	ask[schemas.Campaign](t, h, http.StatusCreated, "PUT", "/v1/campaigns/alices-campaign", `{"description":"alices-description"}`, as(alice)...)
	callbacks := ask[schemas.CallbackSecret](t, h, http.StatusOK, "GET", "/v1/webhooks/secret", "", as(alice)...)
	h.finish(t, job.ID, schemas.Result{Outcome: exitCode(0)}, output{name: "alices-output", content: "alices-content"})
	h.jobs.fleet[0].Held = []schemas.Held{{Tenant: schemas.SingleTenant, Job: running.ID, Attempt: 1}}
	if got := h.text(t, "/v1/jobs/"+job.ID+"/outputs/alices-output", as(alice)...); got != "alices-content" {
		t.Fatalf("alice herself reads %q", got)
	}

	fill := strings.NewReplacer("JOB", job.ID, "BLOB", sum, "TOKEN", made.ID, "HOOK", hook.ID, "DELIVERY", delivery.ID)
	secrets := []string{job.ID, running.ID, "alices-", made.ID, made.Secret, hook.ID, hook.Secret, delivery.ID, callbacks.Secret}
	for _, at := range append(routeNames(h.api), "GET "+objectsPrefix+"tenant/in/sum") {
		try, ok := attempts[at]
		if !ok {
			t.Errorf("%s: say in attempts how another tenant would try to use it", at)
			continue
		}
		method, _, _ := strings.Cut(at, " ")
		resp := h.request(t, method, fill.Replace(try.path), fill.Replace(try.body), as(bob)...)
		answer := readAnswer(t, resp)
		if resp.StatusCode != try.status {
			t.Errorf("%s: status %d, want %d: %.300s", at, resp.StatusCode, try.status, answer)
		}
		// What he sent himself he may be told.
		for _, secret := range secrets {
			if !strings.Contains(fill.Replace(try.path+try.body), secret) && bytes.Contains(answer, []byte(secret)) {
				t.Errorf("%s: he is told %s: %.300s", at, secret, answer)
			}
		}
	}
	if h.jobs.askedBy != "bob" {
		t.Errorf("bob's event stream is of %q", h.jobs.askedBy)
	}
	if missing := ask[schemas.MissingReply](t, h, http.StatusOK, "POST", "/v1/blobs/missing", `{"sha256":["sha256:`+strings.Repeat("0", 64)+`"]}`, as(bob)...); len(missing.Missing) != 1 {
		t.Errorf("missing: %v", missing)
	}
	if c := ask[schemas.Campaign](t, h, http.StatusOK, "GET", "/v1/campaigns/alices-campaign", "", as(alice)...); c.State != schemas.CampaignOpen {
		t.Errorf("alice's campaign is %s", c.State)
	}
	if _, err := h.store.Stat(t.Context(), "local/in/"+sum); err != nil {
		t.Errorf("alice's input is gone: %v", err)
	}
	if left := ask[schemas.Job](t, h, http.StatusOK, "GET", "/v1/jobs/"+running.ID, "", as(alice)...); left.State != schemas.StateQueued || left.Cancelling {
		t.Errorf("alice's job is %s", left.State)
	}
}

// readAnswer reads a body whole, or the first event of a stream without an end.
func readAnswer(t *testing.T, resp *http.Response) []byte {
	t.Helper()
	if resp.Header.Get("Content-Type") != "text/event-stream" {
		answer, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	defer resp.Body.Close()
	var event []byte
	for lines := bufio.NewScanner(resp.Body); lines.Scan() && len(lines.Bytes()) > 0; {
		event = append(append(event, lines.Bytes()...), '\n')
	}
	return event
}

func routeNames(a *API) (names []string) {
	for _, rt := range a.routes() {
		names = append(names, rt.method+" "+rt.pattern)
	}
	return names
}
