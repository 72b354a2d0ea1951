package schemas

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
)

var (
	tokenIDPattern     = regexp.MustCompile(`^[0-9a-f]{16}$`)
	tokenTenantPattern = regexp.MustCompile(`^(?:\*|[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?)$`)
	tokenRecordShape   = shapeOf[AccessTokenRecord]()
	tokenRequestShape  = shapeOf[AccessTokenRequest]()
)

// WhatAccessTokenRequest is what an [InvalidError] of a request for a token says it should be.
const WhatAccessTokenRequest = "access token request"

// ValidTokenID reports whether s has the form of an access token's id.
func ValidTokenID(s string) bool { return tokenIDPattern.MatchString(s) }

// ValidTokenTenant reports whether an access token may be of this tenant.
func ValidTokenTenant(s string) bool { return s == AllTenants || ValidToken(s) }

// DecodeAccessTokenRecord decodes a record of at most [MaxTokenRecordBytes], as strictly as [DecodeControl].
func DecodeAccessTokenRecord(data []byte) (AccessTokenRecord, error) {
	return decode[AccessTokenRecord]("access token record", data, MaxTokenRecordBytes, tokenRecordShape)
}

// DecodeAccessTokenRequest reads a posted request of at most
// [MaxTokenRequestBytes], as strictly as [DecodeControl].
func DecodeAccessTokenRequest(r io.Reader) (AccessTokenRequest, error) {
	data, err := readAtMost(r, MaxTokenRequestBytes)
	if err != nil {
		return AccessTokenRequest{}, fmt.Errorf("read access token request: %w", err)
	}
	return decode[AccessTokenRequest](WhatAccessTokenRequest, data, MaxTokenRequestBytes, tokenRequestShape)
}

func (t *AccessTokenRecord) check(ps *problems) {
	ps.require("/v", t.Version == AccessTokenRecordVersion, "1")
	ps.digest("/sha256", t.SHA256)
	// The id is looked up by, so it must be that of the secret.
	ps.require("/id", ValidTokenID(t.ID) && strings.HasPrefix(t.SHA256, DigestPrefix+t.ID), "the first 16 digits of sha256")
	ps.require("/tenant", ValidTokenTenant(t.Tenant), "a tenant's name, or *")
	ps.require("/scopes", len(t.Scopes) > 0, "at least one scope")
	ps.scopes(t.Scopes)
	ps.tokenName(t.Name)
	ps.require("/creator", t.Creator == "" || ValidTokenID(t.Creator), "a token's id")
	ps.atLeast("/created_us", 0, t.CreatedUS)
	ps.atLeast("/expires_us", 0, t.ExpiresUS)
	ps.atLeast("/revoked_us", 0, t.RevokedUS)
}

func (r *AccessTokenRequest) check(ps *problems) {
	ps.require("/tenant", r.Tenant == "" || ValidTokenTenant(r.Tenant), "a tenant's name (1 to 40 of a-z, 0-9 and -), or * for the whole system")
	ps.scopes(r.Scopes)
	ps.tokenName(r.Name)
	ps.require("/lifetime_ms", r.LifetimeMS >= 0 && r.LifetimeMS <= MaxTokenLifetimeMS, "0 to 315360000000, ten years")
}

func (ps *problems) scopes(scopes []Scope) {
	ps.require("/scopes", len(scopes) <= len(Scopes), "at most 3")
	for i, s := range scopes {
		ps.require(pointer("/scopes").item(i), s.Valid(), "submit, read or admin")
	}
}

func (ps *problems) tokenName(name string) {
	// It is shown in terminals.
	ps.require("/name", len(name) <= MaxTokenName && !strings.ContainsFunc(name, unicode.IsControl), "at most 100 bytes without control characters")
}
