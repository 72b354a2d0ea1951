package access

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// MinTokenBytes is the least length of an access token: a short one can be guessed.
const MinTokenBytes = 16

// defaultScopes are those of a token of which nothing else is said.
var defaultScopes = []schemas.Scope{schemas.ScopeSubmit, schemas.ScopeRead}

// Token is a credential that the API accepts. Only its hash is kept, so that
// neither a dump nor a log of the configuration gives it away.
type Token struct {
	// Tenant that its bearer acts as.
	Tenant string
	// Scopes are what its bearer may do.
	Scopes []schemas.Scope
	hash   [sha256.Size]byte
}

// NewToken takes the secret, at least [MinTokenBytes] of printable ASCII
// without spaces, the tenant (empty: [schemas.SingleTenant]) and what the token
// allows (nothing: submit and read).
func NewToken(secret, tenant string, scopes ...schemas.Scope) (Token, error) {
	if tenant == "" {
		tenant = schemas.SingleTenant
	}
	if !schemas.ValidToken(tenant) {
		return Token{}, fmt.Errorf("access token: tenant %.60q: want 1 to 40 of a-z, 0-9 and -", tenant)
	}
	if len(secret) < MinTokenBytes {
		return Token{}, fmt.Errorf("access token has %d bytes, want at least %d", len(secret), MinTokenBytes)
	}
	if strings.ContainsFunc(secret, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return Token{}, errors.New("access token holds a space or a character that is not printable ASCII")
	}
	if len(scopes) == 0 {
		scopes = defaultScopes
	}
	for _, s := range scopes {
		if !s.Valid() {
			return Token{}, fmt.Errorf("access token: scope %.40q: want submit, read or admin", s)
		}
	}
	return Token{Tenant: tenant, Scopes: slices.Clone(scopes), hash: sha256.Sum256([]byte(secret))}, nil
}

// String keeps the hash out of logs, too.
func (t Token) String() string { return "token of " + t.Tenant }

// GoString does the same for %#v.
func (t Token) GoString() string { return t.String() }

// A Caller is whom a request acts for, and what it may do.
type Caller struct {
	Tenant string
	Scopes []schemas.Scope
}

// May reports whether the caller may do what wants the scope.
func (c Caller) May(want schemas.Scope) bool { return schemas.Allows(c.Scopes, want) }

// Single is the one user of a gateway without tokens, who may do everything.
func Single() Caller { return Caller{Tenant: schemas.SingleTenant, Scopes: schemas.Scopes} }

// Find returns who bears the secret. Hashes are compared, each of them in
// constant time, so the time taken tells nothing of any token.
func Find(tokens []Token, secret string) (Caller, bool) {
	got := sha256.Sum256([]byte(secret))
	var caller Caller
	found := false
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(got[:], t.hash[:]) == 1 {
			caller, found = Caller{Tenant: t.Tenant, Scopes: t.Scopes}, true
		}
	}
	return caller, found
}
