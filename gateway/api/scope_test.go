package api

import (
	"net/http"
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
	return strings.NewReplacer("{$}", "", "{id}", "j0000000000000000000000000", "{path...}", "a", "{sha256}", strings.Repeat("0", 64)).Replace(pattern)
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
