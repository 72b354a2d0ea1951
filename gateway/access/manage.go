package access

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Why tokens are not made or revoked as somebody wants.
var (
	// ErrNotAllowed: tokens of other tenants are none of the caller's business.
	ErrNotAllowed = errors.New("an access token of one tenant manages tokens of that tenant alone")
	// ErrFirst: the first token must be able to make others, as afterwards nobody can without.
	ErrFirst = errors.New("the first access token must be of the whole system (tenant *) and have the scope admin: from then on every request needs a token, and only such a one makes tokens for any tenant")
	// ErrLast: nobody could make tokens any more.
	ErrLast = errors.New("it is the last access token of the whole system with the scope admin: make another first")
	// ErrTooMany: the tenant has [MaxTokens] already.
	ErrTooMany = errors.New("the tenant has 1,000 access tokens, those that ended in the last 90 days included")
	// ErrNotFound: there is no such token in the bucket, for this caller.
	ErrNotFound = errors.New("there is no such access token")
	// ErrSystemScope: a token of the whole system acts for no tenant.
	ErrSystemScope = errors.New("an access token of the whole system (tenant *) has the scope admin or read: it submits no jobs")
	// ErrNoBucket: this gateway was given tokens by file alone.
	ErrNoBucket = errors.New("this gateway keeps no access tokens")
)

const (
	// MaxTokens is how many a tenant may have at a time, those that ended in the last 90 days included.
	MaxTokens = 1000
	// endedFor is how long a token is kept, and listed, after its end.
	endedFor = 90 * 24 * time.Hour
	// revokeTries bounds how often a record that somebody else writes is read again.
	revokeTries = 5
)

// Create makes a token as the caller by wants it, and returns it with its
// secret, which nobody can find out later. by must have the scope admin.
func (t *Tokens) Create(ctx context.Context, by Caller, want schemas.AccessTokenRequest) (schemas.NewAccessToken, error) {
	if t.bucket == nil {
		return schemas.NewAccessToken{}, ErrNoBucket
	}
	want = by.fill(want)
	if err := t.mayCreate(by, want); err != nil {
		return schemas.NewAccessToken{}, err
	}
	secret := NewSecret()
	token, err := NewToken(secret, want.Tenant, want.Scopes...)
	if err != nil {
		return schemas.NewAccessToken{}, err
	}
	now := time.Now()
	token.Name, token.Creator, token.CreatedUS = want.Name, by.Token, now.UnixMicro()
	if want.LifetimeMS > 0 {
		token.ExpiresUS = now.Add(time.Duration(want.LifetimeMS) * time.Millisecond).UnixMicro()
	}
	if err := t.store(ctx, token, 0); err != nil {
		return schemas.NewAccessToken{}, err
	}
	t.forget(ctx, now)
	return schemas.NewAccessToken{AccessToken: token.AccessToken, Secret: secret}, nil
}

// fill writes out what a request leaves open.
func (c Caller) fill(want schemas.AccessTokenRequest) schemas.AccessTokenRequest {
	want.Tenant = cmp.Or(want.Tenant, c.Tenant)
	want.Scopes = slices.Compact(slices.Sorted(slices.Values(want.Scopes)))
	if len(want.Scopes) == 0 {
		want.Scopes = defaultScopes(want.Tenant)
	}
	return want
}

func (t *Tokens) mayCreate(by Caller, want schemas.AccessTokenRequest) error {
	system := want.Tenant == schemas.AllTenants
	switch {
	case !by.sees(want.Tenant):
		return ErrNotAllowed
	case system && slices.Contains(want.Scopes, schemas.ScopeSubmit):
		return ErrSystemScope
	case by.single() && !(system && schemas.Allows(want.Scopes, schemas.ScopeAdmin)):
		return ErrFirst
	}
	if t.count(want.Tenant, time.Now()) >= MaxTokens {
		return ErrTooMany
	}
	return nil
}

// count is how many tokens a tenant has, without those that are about to be forgotten.
func (t *Tokens) count(tenant string, now time.Time) (n int) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, e := range t.kept {
		if e.Tenant == tenant && !e.endedLongAgo(now) {
			n++
		}
	}
	return n
}

// store writes a token's record; revision is that of the one before, 0 for none.
func (t *Tokens) store(ctx context.Context, token Token, revision uint64) error {
	data, err := json.Marshal(schemas.AccessTokenRecord{
		Version: schemas.AccessTokenRecordVersion, AccessToken: token.AccessToken, SHA256: token.Digest(),
	})
	if err != nil {
		return fmt.Errorf("encode access token: %w", err)
	}
	if revision, err = t.bucket.Update(ctx, token.ID, data, revision); err != nil {
		return err
	}
	t.applyOwn(jobqueue.Entry{Key: token.ID, Value: data, Revision: revision})
	return nil
}

// endedLongAgo says whether a token need be kept no more.
func (e *entry) endedLongAgo(now time.Time) bool {
	end := cmp.Or(e.RevokedUS, e.ExpiresUS)
	return end != 0 && end < now.Add(-endedFor).UnixMicro()
}

// forget deletes the records of tokens that ended long ago. It is done when
// one is made, so that the bucket never becomes empty by it.
func (t *Tokens) forget(ctx context.Context, now time.Time) {
	t.mu.RLock()
	var old []*entry
	for _, e := range t.kept {
		if e.endedLongAgo(now) {
			old = append(old, e)
		}
	}
	t.mu.RUnlock()
	for _, e := range old {
		if err := t.bucket.Delete(ctx, e.ID, e.revision); err != nil {
			t.log.Debug("an access token that ended long ago is still there", "token", e.ID, "err", err)
		}
	}
}

// List returns the tokens of the bucket that are the caller's business, the newest first.
func (t *Tokens) List(by Caller) []schemas.AccessToken {
	t.mu.RLock()
	defer t.mu.RUnlock()
	var list []schemas.AccessToken
	for _, e := range t.kept {
		if !e.broken && by.sees(e.Tenant) {
			list = append(list, e.AccessToken)
		}
	}
	slices.SortFunc(list, func(a, b schemas.AccessToken) int {
		return cmp.Or(cmp.Compare(b.CreatedUS, a.CreatedUS), cmp.Compare(a.ID, b.ID))
	})
	return list
}

// Revoke ends a token for good, here at once and at every other gateway when it
// hears of it, and with it what is being done by it. One that is revoked
// already stays as it is. by must have the scope admin.
func (t *Tokens) Revoke(ctx context.Context, by Caller, id string) (schemas.AccessToken, error) {
	if t.bucket == nil {
		return schemas.AccessToken{}, ErrNoBucket
	}
	for range revokeTries {
		e, err := t.read(ctx, id)
		if err != nil || !by.sees(e.Tenant) {
			return schemas.AccessToken{}, cmp.Or(err, ErrNotFound)
		}
		if e.RevokedUS != 0 {
			return e.AccessToken, nil
		}
		if by.Token != "" && t.last(e) {
			return schemas.AccessToken{}, ErrLast
		}
		revoked := e.Token
		revoked.RevokedUS = time.Now().UnixMicro()
		if err = t.store(ctx, revoked, e.revision); err == nil {
			return revoked.AccessToken, nil
		} else if !errors.Is(err, jobqueue.ErrConflict) {
			return schemas.AccessToken{}, err
		}
	}
	return schemas.AccessToken{}, fmt.Errorf("revoke access token %s: %w", id, jobqueue.ErrConflict)
}

// read asks the bucket itself for a token.
func (t *Tokens) read(ctx context.Context, id string) (*entry, error) {
	if !schemas.ValidTokenID(id) {
		return nil, ErrNotFound
	}
	kept, err := t.bucket.Get(ctx, id)
	if errors.Is(err, jobqueue.ErrNotFound) {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	e := t.decode(kept)
	e.end(ErrUnknown) // only looked at
	if e.broken {
		return nil, ErrNotFound
	}
	return e, nil
}

// last reports whether nobody could make tokens for any tenant without this one.
func (t *Tokens) last(e *entry) bool {
	manages := func(e *entry) bool {
		return e.Tenant == schemas.AllTenants && schemas.Allows(e.Scopes, schemas.ScopeAdmin)
	}
	return manages(e) && !t.any(func(other *entry) bool { return other.ID != e.ID && manages(other) })
}
