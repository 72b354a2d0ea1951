package api

import (
	"context"
	"errors"
	"io"
	"math"
	"net/http"
	"net/netip"
	"strconv"
	"strings"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/schemas"
)

// enter decides whom a request acts for, and whether that may use the route
// now. It is the one place where tokens, scopes and limits are looked at: a
// route that declares no scope is for nobody.
func (a *API) enter(rt route, w http.ResponseWriter, r *http.Request) (access.Caller, error) {
	if user, single := a.Tokens.User(); single {
		return user, a.refuse("foreign", checkLocal(r, rt.public))
	}
	from := a.Proxies.Client(r)
	if rt.public {
		return access.Caller{}, a.limit(w, a.Limits.Address(from))
	}
	caller, err := a.bearer(r)
	if err != nil {
		return caller, a.turnAway(w, from, err)
	}
	if v, ok := a.Limits.Proven(from, caller.Token); !ok {
		return caller, a.limit(w, v)
	}
	if err := a.limit(w, a.Limits.Token(caller.Token)); err != nil {
		return caller, err
	}
	return caller, a.refuse("scope", authorize(rt, caller))
}

// bearer is whose token the request has.
func (a *API) bearer(r *http.Request) (access.Caller, error) {
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return access.Caller{}, kindUnauthorized.problem("the request has no access token", "send the header Authorization: Bearer <token>")
	}
	return a.Tokens.Find(strings.TrimSpace(secret))
}

// turnAway refuses who has no token that is accepted, and counts him by his
// address: a guess counts for more, and without anything left no guess is answered.
func (a *API) turnAway(w http.ResponseWriter, from netip.Addr, why error) error {
	verdict, reason := a.Limits.Address, "no-token"
	switch {
	case errors.Is(why, access.ErrUnknown):
		verdict, reason = a.Limits.Guess, "unknown-token"
	case errors.Is(why, access.ErrExpired):
		reason = "expired-token"
	case errors.Is(why, access.ErrRevoked):
		reason = "revoked-token"
	}
	if err := a.limit(w, verdict(from)); err != nil {
		return err
	}
	return a.refuse(reason, why)
}

// limit sets the headers that tell what is left, and refuses a request if nothing is.
func (a *API) limit(w http.ResponseWriter, v access.Verdict) error {
	tellLimit(w.Header(), v)
	if v.Policy == "" || v.Allowed {
		return nil
	}
	seconds := int(math.Ceil(v.Wait.Seconds()))
	w.Header().Set("Retry-After", strconv.Itoa(max(1, seconds)))
	return a.refuse("rate-limit", kindRateLimit.problem("too many requests: "+v.Policy, "wait as long as Retry-After says"))
}

// charge counts a request as n more, once it shows that it asks for as much.
func (a *API) charge(w http.ResponseWriter, r *http.Request, n int) {
	if n > 0 {
		tellLimit(w.Header(), a.Limits.Charge(callerOf(r.Context()).Token, n))
	}
}

// tellLimit sets the headers that tell what is left.
func tellLimit(h http.Header, v access.Verdict) {
	if v.Policy != "" {
		h.Set("RateLimit-Policy", v.Policy)
		h.Set("RateLimit", v.Limit)
	}
}

// refuse counts a refusal, if it is one.
func (a *API) refuse(reason string, err error) error {
	if err != nil {
		a.metrics.refusals.WithLabelValues(reason).Inc()
	}
	return err
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
