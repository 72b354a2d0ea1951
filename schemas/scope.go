package schemas

import "slices"

// A Scope is a kind of things that an access token allows.
type Scope string

// The scopes. ScopeAdmin implies the others; ScopeSubmit does not imply ScopeRead.
const (
	// ScopeSubmit: upload inputs, submit and cancel jobs.
	ScopeSubmit Scope = "submit"
	// ScopeRead: see jobs, logs, outputs, and what there is to run them on.
	ScopeRead Scope = "read"
	// ScopeAdmin: everything, and that which concerns more than jobs, such as tokens.
	ScopeAdmin Scope = "admin"
)

// Scopes are all that there are.
var Scopes = []Scope{ScopeSubmit, ScopeRead, ScopeAdmin}

// Valid reports whether there is such a scope.
func (s Scope) Valid() bool { return slices.Contains(Scopes, s) }

// Allows reports whether who has the scopes may do what wants the scope want.
// A want that is no scope is allowed to nobody.
func Allows(have []Scope, want Scope) bool {
	return want.Valid() && (slices.Contains(have, want) || slices.Contains(have, ScopeAdmin))
}
