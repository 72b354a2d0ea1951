package access

import (
	"context"

	"github.com/program-explorer/pe/schemas"
)

// A Caller is whom a request acts for, and what it may do.
type Caller struct {
	// Tenant that it acts as; [schemas.AllTenants] for a token of the whole system, which acts as none.
	Tenant string
	Scopes []schemas.Scope
	// Token is the id of the token; empty for the single user of a gateway
	// without tokens, and for an operator who reached past the API.
	Token string
	// over is done when the caller may not go on.
	over context.Context
}

// Operator is whoever has reached the tokens without the API, by the queue's
// own credentials: he may do everything with them.
func Operator() Caller {
	return Caller{Tenant: schemas.AllTenants, Scopes: []schemas.Scope{schemas.ScopeAdmin}}
}

// May reports whether the caller may do what wants the scope.
func (c Caller) May(want schemas.Scope) bool { return schemas.Allows(c.Scopes, want) }

// OfSystem reports whether the caller sees what is nobody's own: the whole
// system's, or the single user's.
func (c Caller) OfSystem() bool { return c.Tenant == schemas.AllTenants || c.Token == "" }

// single reports whether this is the single user of a gateway without tokens.
func (c Caller) single() bool { return c.Token == "" && c.Tenant != schemas.AllTenants }

// sees reports whether a tenant's tokens are the caller's business.
func (c Caller) sees(tenant string) bool { return c.OfSystem() || c.Tenant == tenant }

// Attend returns a context for what the caller does, which also ends when its
// token is revoked or expires; the cause is [ErrRevoked] or [ErrExpired] then.
func (c Caller) Attend(ctx context.Context) (context.Context, context.CancelFunc) {
	if c.over == nil {
		return ctx, func() {}
	}
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(c.over, func() { cancel(context.Cause(c.over)) })
	return ctx, func() { stop(); cancel(context.Canceled) }
}
