package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// MinTokenBytes is the least length of an access token: a short one can be guessed.
const MinTokenBytes = 16

// Token is a credential that the API accepts. Only its hash is kept, so that
// neither a dump nor a log of the configuration gives it away.
type Token struct {
	// Tenant that its bearer acts as.
	Tenant string
	hash   [sha256.Size]byte
}

// NewToken takes the secret, at least [MinTokenBytes] of printable ASCII
// without spaces, and the tenant; an empty tenant is [schemas.SingleTenant].
func NewToken(secret, tenant string) (Token, error) {
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
	return Token{Tenant: tenant, hash: sha256.Sum256([]byte(secret))}, nil
}

// String keeps the hash out of logs, too.
func (t Token) String() string { return "token of " + t.Tenant }

// GoString does the same for %#v.
func (t Token) GoString() string { return t.String() }

// tenantOf returns whom the request acts for. Hashes are compared, each of them
// in constant time, so the time taken tells nothing of any token.
func tenantOf(r *http.Request, tokens []Token) (string, error) {
	if len(tokens) == 0 {
		return schemas.SingleTenant, nil
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") || secret == "" {
		return "", kindUnauthorized.problem("the request has no access token", "send the header Authorization: Bearer <token>")
	}
	got := sha256.Sum256([]byte(strings.TrimSpace(secret)))
	tenant := ""
	for _, t := range tokens {
		if subtle.ConstantTimeCompare(got[:], t.hash[:]) == 1 {
			tenant = t.Tenant
		}
	}
	if tenant == "" {
		return "", kindUnauthorized.problem("the access token is not known", "ask whoever runs the gateway for a token")
	}
	return tenant, nil
}
