package api

import (
	"context"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

// identify says whom a request acts for.
func (a *API) identify(r *http.Request) (access.Caller, error) {
	if len(a.tokens) == 0 {
		return access.Single(), nil
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return access.Caller{}, kindUnauthorized.problem("the request has no access token", "send the header Authorization: Bearer <token>")
	}
	caller, ok := access.Find(a.tokens, strings.TrimSpace(secret))
	if !ok {
		return access.Caller{}, kindUnauthorized.problem("the access token is not known", "ask whoever runs the gateway for a token")
	}
	return caller, nil
}

// authorize lets through who may use a route. It is the one place where scopes
// are looked at: a route that declares none is for nobody.
func (a *API) authorize(rt route, r *http.Request) (access.Caller, error) {
	caller, err := a.identify(r)
	if err != nil || caller.May(rt.scope) {
		return caller, err
	}
	return caller, kindScope.problem("the access token does not have the scope "+string(rt.scope),
		"it has "+scopeList(caller.Scopes)+"; use another token, or ask for one with this scope")
}

func scopeList(scopes []schemas.Scope) string {
	var names []string
	for _, s := range scopes {
		names = append(names, string(s))
	}
	return strings.Join(names, ", ")
}

type callerKey struct{}

// callerOf is whom the request acts for, for the few handlers that ask more than its tenant.
func callerOf(ctx context.Context) access.Caller {
	caller, _ := ctx.Value(callerKey{}).(access.Caller)
	return caller
}
