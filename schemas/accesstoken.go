package schemas

import "encoding/json"

// AllTenants is the tenant of an access token of the whole system. Such a
// token acts for no tenant: it manages everybody's tokens and sees what is
// nobody's own, but it neither runs jobs nor reads anybody's.
const AllTenants = "*"

// Bounds of access tokens.
const (
	MaxTokenName = 100 // bytes
	// MaxTokenLifetimeMS is ten years, in milliseconds.
	MaxTokenLifetimeMS = 10 * 365 * 24 * 60 * 60 * 1000
	// MaxTokenRequestBytes bounds a posted [AccessTokenRequest] in JSON.
	MaxTokenRequestBytes = 4 * kib
	// MaxTokenRecordBytes bounds an [AccessTokenRecord] in JSON.
	MaxTokenRecordBytes = 4 * kib
)

// AccessToken is what is told of an access token: everything but the secret.
type AccessToken struct {
	// ID is the first 16 hex digits of the SHA-256 of the secret: whoever finds a
	// secret somewhere can tell which token to revoke.
	ID string `json:"id"`
	// Tenant that its bearer acts as; * for one of the whole system.
	Tenant string  `json:"tenant"`
	Scopes []Scope `json:"scopes"`
	// Name says what it is for, in its maker's words.
	Name string `json:"name,omitempty"`
	// Creator is the id of the token that it was made with; empty if it was made without.
	Creator string `json:"creator,omitempty"`
	// Instants in microseconds since the Unix epoch; ExpiresUS 0: it does not expire.
	CreatedUS int64 `json:"created_us"`
	ExpiresUS int64 `json:"expires_us,omitempty"`
	// RevokedUS is when it was revoked, if it was.
	RevokedUS int64 `json:"revoked_us,omitempty"`
}

// AccessTokenRecord is a token's entry in the key-value bucket, under its id.
type AccessTokenRecord struct {
	Version int `json:"v"`
	AccessToken
	// SHA256 is of the secret, which is kept nowhere.
	SHA256 string `json:"sha256"`
}

// AccessTokenRecordVersion is the version this package writes.
const AccessTokenRecordVersion = 1

// AccessTokenRequest asks for a new token.
type AccessTokenRequest struct {
	// Tenant whose it is to be; empty for the caller's own.
	Tenant string `json:"tenant,omitempty"`
	// Scopes; empty for submit and read.
	Scopes []Scope `json:"scopes,omitempty"`
	Name   string  `json:"name,omitempty"`
	// LifetimeMS is after how long it expires, in milliseconds; 0: never.
	LifetimeMS int64 `json:"lifetime_ms,omitempty"`
}

// NewAccessToken is a token that has just been made, with its secret, which is told this once.
type NewAccessToken struct {
	AccessToken
	Secret string `json:"secret"`
}

// AccessTokenList is the body of GET /v1/tokens, the newest first.
type AccessTokenList struct {
	Tokens []AccessToken `json:"tokens"`
}

// State is active, expired or revoked, at the instant now.
func (t *AccessToken) State(nowUS int64) string {
	switch {
	case t.RevokedUS != 0:
		return "revoked"
	case t.ExpiresUS != 0 && t.ExpiresUS <= nowUS:
		return "expired"
	}
	return "active"
}

// MarshalJSON writes an empty list as [].
func (l AccessTokenList) MarshalJSON() ([]byte, error) {
	type plain AccessTokenList
	l.Tokens = filled(l.Tokens)
	return json.Marshal(plain(l))
}
