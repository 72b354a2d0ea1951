package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

// enter decides whom a request acts for, and whether that may use the route. It
// is the one place where tokens and scopes are looked at: a route that declares
// no scope is for nobody.
func (a *API) enter(rt route, r *http.Request) (access.Caller, error) {
	if user, single := a.tokens.User(); single {
		return user, checkLocal(r)
	}
	if rt.public {
		return access.Caller{}, nil
	}
	caller, err := a.bearer(r)
	if err != nil {
		return access.Caller{}, err
	}
	return caller, authorize(rt, caller)
}

// bearer is whose token the request has.
func (a *API) bearer(r *http.Request) (access.Caller, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return access.Caller{}, kindUnauthorized.problem("the request has no access token", "send the header Authorization: Bearer <token>")
	}
	return a.tokens.Find(strings.TrimSpace(secret))
}

// authorize lets through whose token allows the route.
func authorize(rt route, caller access.Caller) error {
	switch {
	case !caller.May(rt.scope):
		return kindScope.problem("the access token does not have the scope "+string(rt.scope),
			"it has "+scopeList(caller.Scopes)+"; use another token, or ask for one with this scope")
	case rt.of == ofTenant && caller.Tenant == schemas.AllTenants:
		return kindScope.problem("the access token is of the whole system, and acts for no tenant", "use a token of the tenant")
	case rt.of == ofSystem && !caller.OfSystem():
		return kindScope.problem("the access token is of one tenant, and this concerns all of them",
			"use a token of the whole system (tenant *) with the scope "+string(rt.scope))
	}
	return nil
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

// turnedOut replaces the error of a request whose token ended while it was
// served by the reason why.
func turnedOut(ctx context.Context, err error) error {
	for _, why := range []error{access.ErrRevoked, access.ErrExpired} {
		if errors.Is(context.Cause(ctx), why) {
			return why
		}
	}
	return err
}

// attendedBody is a request's body, of which no more is read once its sender
// may send no more.
type attendedBody struct {
	io.ReadCloser
	ctx context.Context
}

func (b *attendedBody) Read(p []byte) (int, error) {
	if b.ctx.Err() != nil {
		return 0, context.Cause(b.ctx)
	}
	return b.ReadCloser.Read(p)
}
