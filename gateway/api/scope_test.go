package api

import (
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

func TestEveryRouteHasAScopeOrIsPublic(t *testing.T) {
	t.Parallel()
	for _, rt := range start(t).api.routes() {
		if rt.public == rt.scope.Valid() {
			t.Errorf("%s %s: public %v, scope %q: want one of them", rt.method, rt.pattern, rt.public, rt.scope)
		}
	}
}

// concrete is a path that leads to the route.
func concrete(pattern string) string {
	return strings.NewReplacer("{$}", "", "{id}", "j0000000000000000000000000", "{name}", "a", "{path...}", "a", "{sha256}", strings.Repeat("0", 64)).Replace(pattern)
}

// A request without the scope is refused before anything else of it is looked at.
func TestScopes(t *testing.T) {
	t.Parallel()
	const prefix = "0123456789abcdef-"
	var tokens []access.Token
	for _, s := range schemas.Scopes {
		tokens = append(tokens, token(t, prefix+string(s), "alice", s))
	}
	h := start(t, withTokens(t, tokens...))
	for _, rt := range h.api.routes() {
		for _, have := range schemas.Scopes {
			if rt.public || have == rt.scope || have == schemas.ScopeAdmin {
				continue
			}
			p := h.refused(t, kindScope, rt.method, concrete(rt.pattern), "", "Authorization", "Bearer "+prefix+string(have))
			if !strings.Contains(p.Detail, string(rt.scope)) {
				t.Errorf("%s %s: the problem does not name the scope %s: %+v", rt.method, rt.pattern, rt.scope, p)
			}
		}
	}
	h.refused(t, kindNotFound, "GET", "/v1/jobs/nonsense", "", "Authorization", "Bearer "+prefix+"read")
	h.refused(t, kindNotFound, "GET", "/v1/jobs/nonsense", "", "Authorization", "Bearer "+prefix+"admin")
}

func TestARouteWithoutAScopeIsForNobody(t *testing.T) {
	t.Parallel()
	all := access.Caller{Tenant: "alice", Scopes: schemas.Scopes}
	if authorize(route{}, all) == nil || authorize(route{scope: "everything"}, all) == nil || authorize(route{scope: "read"}, all) != nil {
		t.Error("somebody may what no scope allows")
	}
}

// Who may only submit learns nothing of what came of it.
func TestSubmitDoesNotImplyRead(t *testing.T) {
	t.Parallel()
	h := start(t, withTokens(t, token(t, "0123456789abcdef", "", schemas.ScopeSubmit)))
	job := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", `{"image":"gcc"}`, "Authorization", "Bearer 0123456789abcdef")
	if job.ID == "" || job.Spec != nil || job.Result != nil {
		t.Errorf("answered with %+v", job)
	}
}

// Whoever may not read is told how the job stands that it acts on, and no more.
func TestWhatSubmitIsTold(t *testing.T) {
	t.Parallel()
	const submitter, reader = "0123456789abcdef-submit", "0123456789abcdef-read"
	h := start(t, withTokens(t, token(t, submitter, "", schemas.ScopeSubmit), token(t, reader, "", schemas.ScopeSubmit, schemas.ScopeRead)))
	told := func(status int, method, path, body string) {
		t.Helper()
		job := ask[schemas.Job](t, h, status, method, path, body, "Authorization", "Bearer "+submitter)
		bare := schemas.Job{ID: job.ID, Tenant: schemas.SingleTenant, State: job.State, Created: job.Created, Ended: job.Ended}
		if job.ID == "" || job.State == "" || job.Created == 0 || !reflect.DeepEqual(job, bare) {
			t.Errorf("%s %s: told of %+v", method, path, job)
		}
	}
	const spec = `{"image":"gcc","args":["make"],"labels":{"of":"somebody"},"cache":"use","idempotency_key":"k"}`
	theirs := ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", spec, "Authorization", "Bearer "+reader)
	if theirs.Image.Digest == "" || theirs.Labels == nil {
		t.Errorf("who may read is told of %+v", theirs)
	}
	at := "/v1/jobs/" + theirs.ID
	told(http.StatusAccepted, "POST", "/v1/jobs", spec)
	h.finish(t, theirs.ID, schemas.Result{Outcome: exitCode(3)})
	told(http.StatusOK, "DELETE", at, "")
	record, err := h.jobs.Get(t.Context(), schemas.SingleTenant, theirs.ID)
	if err != nil {
		t.Fatal(err)
	}
	record.State, record.Failure = schemas.StateDead, schemas.NewFailure(schemas.FailGuest, "it broke")
	h.jobs.set(record)
	told(http.StatusAccepted, "POST", at+":retry", "")
	h.jobs.set(record)
	told(http.StatusOK, "POST", at+":drop", "")

	h.jobs.mu.Lock()
	h.jobs.origin = &record
	h.jobs.mu.Unlock()
	told(http.StatusOK, "POST", "/v1/jobs", `{"image":"gcc","cache":"use"}`)
	batch := ask[schemas.BatchReply](t, h, http.StatusAccepted, "POST", "/v1/jobs:batch", batchBody(schemas.BatchAll, goodJob), "Authorization", "Bearer "+submitter)
	if job := batch.Jobs[0].Job; job == nil || job.ID == "" || job.Image != (schemas.ImageRef{}) {
		t.Errorf("of a batch: %+v", batch.Jobs)
	}
	if info := ask[schemas.CacheInfo](t, h, http.StatusOK, "DELETE", "/v1/cache", "", "Authorization", "Bearer "+submitter); info != (schemas.CacheInfo{ClearedUS: 1}) {
		t.Errorf("of the cache: %+v", info)
	}
}

// withTokens configures tokens as of a token file.
func withTokens(t *testing.T, tokens ...access.Token) func(*Config) {
	t.Helper()
	return func(c *Config) { c.Tokens = access.NewTokens(tokens, nil, nil) }
}

func token(t *testing.T, secret, tenant string, scopes ...schemas.Scope) access.Token {
	t.Helper()
	made, err := access.NewToken(secret, tenant, scopes...)
	if err != nil {
		t.Fatal(err)
	}
	return made
}
