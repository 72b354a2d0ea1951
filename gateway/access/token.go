package access

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// MinTokenBytes is the least length of an access token: a short one can be guessed.
const MinTokenBytes = 16

// defaultScopes are those of a token of which nothing else is said.
func defaultScopes(tenant string) []schemas.Scope {
	if tenant == schemas.AllTenants {
		return []schemas.Scope{schemas.ScopeRead}
	}
	return []schemas.Scope{schemas.ScopeSubmit, schemas.ScopeRead}
}

// Token is a credential that the API accepts. Only the hash of its secret is
// kept, so that neither a dump nor a log of the configuration gives it away.
type Token struct {
	schemas.AccessToken
	hash [sha256.Size]byte
}

// NewToken takes the secret, at least [MinTokenBytes] of printable ASCII
// without spaces, the tenant (empty: [schemas.SingleTenant], "*": the whole
// system) and what the token allows (nothing: submit and read; read for the whole system).
func NewToken(secret, tenant string, scopes ...schemas.Scope) (Token, error) {
	if len(secret) < MinTokenBytes {
		return Token{}, fmt.Errorf("access token has %d bytes, want at least %d", len(secret), MinTokenBytes)
	}
	if strings.ContainsFunc(secret, func(c rune) bool { return c <= ' ' || c > '~' }) {
		return Token{}, errors.New("access token holds a space or a character that is not printable ASCII")
	}
	return newToken(sha256.Sum256([]byte(secret)), tenant, scopes)
}

// HashedToken is [NewToken] for a secret of which only the digest is known:
// "sha256:" and 64 hex digits.
func HashedToken(digest, tenant string, scopes ...schemas.Scope) (Token, error) {
	sum, err := schemas.ParseDigest(digest)
	if err != nil {
		return Token{}, errors.New("access token: want sha256: and 64 hex digits in lower case")
	}
	var hash [sha256.Size]byte
	if _, err := hex.Decode(hash[:], []byte(sum)); err != nil {
		return Token{}, fmt.Errorf("access token: %w", err)
	}
	return newToken(hash, tenant, scopes)
}

func newToken(hash [sha256.Size]byte, tenant string, scopes []schemas.Scope) (Token, error) {
	if tenant == "" {
		tenant = schemas.SingleTenant
	}
	if !schemas.ValidTokenTenant(tenant) {
		return Token{}, fmt.Errorf("access token: tenant %.60q: want 1 to 40 of a-z, 0-9 and -, or * for the whole system", tenant)
	}
	if len(scopes) == 0 {
		scopes = defaultScopes(tenant)
	}
	if tenant == schemas.AllTenants && slices.Contains(scopes, schemas.ScopeSubmit) {
		return Token{}, ErrSystemScope
	}
	for _, s := range scopes {
		if !s.Valid() {
			return Token{}, fmt.Errorf("access token: scope %.40q: want submit, read or admin", s)
		}
	}
	return Token{hash: hash, AccessToken: schemas.AccessToken{ID: tokenID(hash), Tenant: tenant, Scopes: slices.Clone(scopes)}}, nil
}

// tokenID names a token without giving it away: 64 of the hash's 256 bits.
func tokenID(hash [sha256.Size]byte) string { return hex.EncodeToString(hash[:8]) }

// IDOf is the id of the token with this secret. What is an id already stays one.
func IDOf(secret string) string {
	if schemas.ValidTokenID(secret) {
		return secret
	}
	return tokenID(sha256.Sum256([]byte(secret)))
}

// Digest of the secret, as a token file has it.
func (t Token) Digest() string { return schemas.Digest(t.hash[:]) }

// String keeps the hash out of logs, too.
func (t Token) String() string { return "token " + t.ID + " of " + t.Tenant }

// GoString does the same for %#v.
func (t Token) GoString() string { return t.String() }
