package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// Why a secret is not accepted.
var (
	ErrUnknown = errors.New("the access token is not known")
	ErrExpired = errors.New("the access token has expired")
	ErrRevoked = errors.New("the access token has been revoked")
)

// Tokens are all tokens that a gateway accepts: those of its token file, and
// those of the bucket, which all gateways share. The bucket is kept in memory
// and watched, so that finding a token asks nobody, and a token that is revoked
// at one gateway is refused by all of them, and what it does ends.
//
// Without any token in file and bucket there is a single user, who needs none.
// For that a token counts that has ever been in the bucket: neither that one
// expires nor that somebody empties the bucket must open anything.
type Tokens struct {
	bucket *jobqueue.Bucket
	log    *slog.Logger

	mu   sync.RWMutex
	file map[string]*entry // by id
	kept map[string]*entry
	seen uint64 // the newest revision that the watch has told
	used bool   // the bucket has a token, or had one
}

// An entry is a token in use, or one that was.
type entry struct {
	Token
	revision uint64
	broken   bool // nobody can read its record
	// over is done when the token may not be used any more; its cause says why.
	over context.Context
	end  context.CancelCauseFunc
}

// NewTokens takes the tokens of the token file, and the bucket of the others; nil for none.
func NewTokens(file []Token, bucket *jobqueue.Bucket, log *slog.Logger) *Tokens {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	t := &Tokens{bucket: bucket, log: log, file: map[string]*entry{}, kept: map[string]*entry{}}
	for _, token := range file {
		t.file[token.ID] = newEntry(token, 0)
	}
	return t
}

func newEntry(token Token, revision uint64) *entry {
	e := &entry{Token: token, revision: revision}
	e.over, e.end = context.WithCancelCause(context.Background())
	switch {
	case e.RevokedUS != 0:
		e.end(ErrRevoked)
	case e.ExpiresUS != 0:
		timer := time.AfterFunc(time.Until(time.UnixMicro(e.ExpiresUS)), func() { e.end(ErrExpired) })
		context.AfterFunc(e.over, func() { timer.Stop() })
	}
	return e
}

// usable says why the token may not be used, or nil. The clock is asked, too: a
// timer does not run while the machine sleeps.
func (e *entry) usable(now time.Time) error {
	if e.ExpiresUS != 0 && e.ExpiresUS <= now.UnixMicro() {
		e.end(ErrExpired)
	}
	return context.Cause(e.over)
}

// Load reads the bucket as it is now. Until then nothing is known of its tokens.
func (t *Tokens) Load(ctx context.Context) error {
	if t.bucket == nil {
		return nil
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	last, err := t.bucket.LastRevision(ctx) // which a purge leaves as it is
	if err != nil {
		return fmt.Errorf("load access tokens: %w", err)
	}
	loaded := false
	err = t.bucket.Watch(ctx, t.apply, func() { loaded = true; stop() })
	if !loaded {
		return fmt.Errorf("load access tokens: %w", errors.Join(err, context.Cause(ctx)))
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.used = t.used || last > 0; t.used && len(t.kept) == 0 {
		t.log.Warn("access tokens were made once, and there are none now: nobody is let in by them; docs/access.md says how to begin anew")
	}
	return nil
}

// Run follows the bucket until ctx ends.
func (t *Tokens) Run(ctx context.Context) error {
	if t.bucket == nil {
		<-ctx.Done()
		return nil
	}
	return t.bucket.Watch(ctx, t.apply, nil)
}

// apply takes a write of the bucket, as the watch tells it.
func (t *Tokens) apply(e jobqueue.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.seen = max(t.seen, e.Revision)
	t.applyLocked(e)
}

// applyOwn takes a write of our own before the watch tells it, so that a token
// that was just made can be used here, and one that was revoked cannot.
func (t *Tokens) applyOwn(e jobqueue.Entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if e.Revision > t.seen {
		t.applyLocked(e)
	}
}

func (t *Tokens) applyLocked(e jobqueue.Entry) {
	t.used = true
	old := t.kept[e.Key]
	if old != nil && old.revision >= e.Revision {
		return
	}
	if e.Deleted {
		delete(t.kept, e.Key)
	} else {
		t.kept[e.Key] = t.decode(e)
	}
	if old != nil {
		old.end(ErrRevoked)
	}
}

// decode makes a token of its record. One that cannot be read is nobody's, and
// yet there: the single user's time is over.
func (t *Tokens) decode(e jobqueue.Entry) *entry {
	record, err := schemas.DecodeAccessTokenRecord(e.Value)
	if err == nil && record.ID != e.Key {
		err = fmt.Errorf("it is of token %s", record.ID)
	}
	var token Token
	if err == nil {
		token, err = HashedToken(record.SHA256, record.Tenant, record.Scopes...)
		token.AccessToken = record.AccessToken
	}
	if err != nil {
		t.log.Error("an access token's record cannot be read; the token is refused", "token", e.Key, "err", err)
		broken := newEntry(Token{AccessToken: schemas.AccessToken{ID: e.Key}}, e.Revision)
		broken.broken = true
		broken.end(ErrUnknown)
		return broken
	}
	return newEntry(token, e.Revision)
}

// User is the single user, who may do everything as [schemas.SingleTenant];
// false if there are tokens, or were any in the bucket.
func (t *Tokens) User() (Caller, bool) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	return Caller{Tenant: schemas.SingleTenant, Scopes: schemas.Scopes}, len(t.file) == 0 && !t.used
}

// Usable reports whether there is a token that is accepted now.
func (t *Tokens) Usable() bool {
	return t.any(func(*entry) bool { return true })
}

// any reports whether a token that is accepted now is as wanted.
func (t *Tokens) any(want func(*entry) bool) bool {
	t.mu.RLock()
	defer t.mu.RUnlock()
	now := time.Now()
	for _, all := range []map[string]*entry{t.file, t.kept} {
		for _, e := range all {
			if e.usable(now) == nil && want(e) {
				return true
			}
		}
	}
	return false
}

// Find returns who bears the secret; [ErrUnknown], [ErrExpired] or [ErrRevoked] if nobody does.
//
// The token is looked up by a part of its hash, which tells a guesser nothing:
// he cannot choose what he hashes to. The whole is compared in constant time.
func (t *Tokens) Find(secret string) (Caller, error) {
	hash := sha256.Sum256([]byte(secret))
	id := tokenID(hash)
	t.mu.RLock()
	e := t.file[id]
	if e == nil {
		e = t.kept[id]
	}
	t.mu.RUnlock()
	if e == nil || subtle.ConstantTimeCompare(e.hash[:], hash[:]) != 1 {
		return Caller{}, ErrUnknown
	}
	if err := e.usable(time.Now()); err != nil {
		return Caller{}, err
	}
	return Caller{Tenant: e.Tenant, Scopes: e.Scopes, Token: e.ID, over: e.over}, nil
}
