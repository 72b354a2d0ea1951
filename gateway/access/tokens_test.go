package access

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/schemas"
)

// system is a token of the whole system that makes others.
var system = schemas.AccessTokenRequest{Tenant: schemas.AllTenants, Scopes: []schemas.Scope{schemas.ScopeAdmin}}

func bucket(t *testing.T, server *queuetest.Server) *jobqueue.Bucket {
	t.Helper()
	q := server.Gateway(t, nil)
	if err := q.EnsureTokens(t.Context()); err != nil {
		t.Fatal(err)
	}
	return q.Tokens
}

// kept are the tokens of a bucket, loaded and followed.
func kept(t *testing.T, b *jobqueue.Bucket) *Tokens {
	t.Helper()
	tokens := NewTokens(nil, b, nil)
	if err := tokens.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- tokens.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return tokens
}

func create(t *testing.T, tokens *Tokens, by Caller, want schemas.AccessTokenRequest) (schemas.NewAccessToken, Caller) {
	t.Helper()
	made, err := tokens.Create(t.Context(), by, want)
	if err != nil {
		t.Fatalf("create %+v: %v", want, err)
	}
	caller, err := tokens.Find(made.Secret)
	if err != nil || caller.Token != made.ID || caller.Tenant != made.Tenant {
		t.Fatalf("found %+v, %v; made %+v", caller, err, made.AccessToken)
	}
	return made, caller
}

func TestARevocationHoldsAtEveryGatewayWithinASecond(t *testing.T) {
	t.Parallel()
	server := queuetest.Start(t)
	one := kept(t, bucket(t, server))
	made, _ := create(t, one, Operator(), schemas.AccessTokenRequest{Tenant: "alice"})
	other := kept(t, bucket(t, server))
	caller, err := other.Find(made.Secret)
	if err != nil {
		t.Fatal(err)
	}
	stream, leave := caller.Attend(t.Context())
	defer leave()
	if _, err := one.Revoke(t.Context(), Operator(), made.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := one.Find(made.Secret); !errors.Is(err, ErrRevoked) {
		t.Errorf("where it was revoked: %v", err)
	}
	select {
	case <-stream.Done():
	case <-time.After(time.Second):
		t.Fatal("a stream goes on at another gateway")
	}
	if why := context.Cause(stream); !errors.Is(why, ErrRevoked) {
		t.Errorf("the stream ended: %v", why)
	}
	if _, err := other.Find(made.Secret); !errors.Is(err, ErrRevoked) {
		t.Errorf("at another gateway: %v", err)
	}
	again, err := other.Revoke(t.Context(), Operator(), made.ID)
	if err != nil || again.RevokedUS == 0 {
		t.Errorf("revoked again: %+v, %v", again, err)
	}
}

func TestNoSecretIsAtRest(t *testing.T) {
	t.Parallel()
	b := bucket(t, queuetest.Start(t))
	made, _ := create(t, kept(t, b), Operator(), schemas.AccessTokenRequest{Tenant: "alice", Name: "laptop"})
	at, err := b.Get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(at.Value, []byte(made.Secret[len(secretPrefix):])) || len(made.Secret) != len(secretPrefix)+secretDigits {
		t.Errorf("secret %q, record %s", made.Secret, at.Value)
	}
}

func TestSecretsDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for range 1000 {
		s := NewSecret()
		if seen[s] || !strings.HasPrefix(s, secretPrefix) {
			t.Fatalf("%q", s)
		}
		seen[s] = true
	}
}

func TestATokenExpiresWhileItIsUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		token, err := NewToken("0123456789abcdef", "alice")
		if err != nil {
			t.Fatal(err)
		}
		token.ExpiresUS = time.Now().Add(time.Hour).UnixMicro()
		tokens := NewTokens([]Token{token}, nil, nil)
		caller, err := tokens.Find("0123456789abcdef")
		if err != nil {
			t.Fatal(err)
		}
		stream, leave := caller.Attend(t.Context())
		defer leave()
		time.Sleep(time.Hour - time.Second)
		synctest.Wait()
		if stream.Err() != nil || !tokens.Usable() {
			t.Error("it expired early")
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if _, err := tokens.Find("0123456789abcdef"); !errors.Is(err, ErrExpired) || !errors.Is(context.Cause(stream), ErrExpired) || tokens.Usable() {
			t.Errorf("found: %v; the stream: %v; usable: %v", err, context.Cause(stream), tokens.Usable())
		}
		if _, single := tokens.User(); single {
			t.Error("that a token expired opened the gateway")
		}
	})
}

// The single-user mode ends with the first token, which must be able to make
// others; and what ends a token does not bring the mode back.
func TestTheFirstToken(t *testing.T) {
	t.Parallel()
	tokens := kept(t, bucket(t, queuetest.Start(t)))
	user, single := tokens.User()
	if !single {
		t.Fatal("no token, and yet no single user")
	}
	for _, want := range []schemas.AccessTokenRequest{{}, {Scopes: system.Scopes}, {Tenant: "*"}, {Tenant: "*", Scopes: []schemas.Scope{"read"}}} {
		if _, err := tokens.Create(t.Context(), user, want); !errors.Is(err, ErrFirst) {
			t.Errorf("%+v: %v", want, err)
		}
	}
	made, first := create(t, tokens, user, system)
	if _, single := tokens.User(); single {
		t.Error("there is a token, and yet a single user")
	}
	if _, err := tokens.Revoke(t.Context(), first, made.ID); !errors.Is(err, ErrLast) {
		t.Errorf("the last one that makes tokens: %v", err)
	}
	second, _ := create(t, tokens, first, system)
	if _, err := tokens.Revoke(t.Context(), first, made.ID); err != nil {
		t.Errorf("with a second one: %v", err)
	}
	if _, err := tokens.Revoke(t.Context(), Operator(), second.ID); err != nil {
		t.Errorf("by the operator: %v", err)
	}
	if _, single := tokens.User(); single || tokens.Usable() {
		t.Error("that all are revoked opened the gateway")
	}
}

func TestTokensOfOneTenant(t *testing.T) {
	t.Parallel()
	tokens := kept(t, bucket(t, queuetest.Start(t)))
	other, _ := create(t, tokens, Operator(), schemas.AccessTokenRequest{Tenant: "bob"})
	_, alice := create(t, tokens, Operator(), schemas.AccessTokenRequest{Tenant: "alice", Scopes: system.Scopes})
	for _, want := range []schemas.AccessTokenRequest{{Tenant: "bob"}, system} {
		if _, err := tokens.Create(t.Context(), alice, want); !errors.Is(err, ErrNotAllowed) {
			t.Errorf("%+v: %v", want, err)
		}
	}
	if _, err := tokens.Revoke(t.Context(), alice, other.ID); !errors.Is(err, ErrNotFound) {
		t.Errorf("of another tenant: %v", err)
	}
	made, _ := create(t, tokens, alice, schemas.AccessTokenRequest{Name: "laptop", LifetimeMS: 1000})
	if made.Tenant != "alice" || made.Creator != alice.Token || made.ExpiresUS != made.CreatedUS+1e6 {
		t.Errorf("made %+v", made.AccessToken)
	}
	if list := tokens.List(alice); len(list) != 2 || list[0].Tenant != "alice" || list[1].Tenant != "alice" {
		t.Errorf("alice sees %+v", list)
	}
	if list := tokens.List(Operator()); len(list) != 3 {
		t.Errorf("the operator sees %+v", list)
	}
	if _, err := tokens.Create(t.Context(), Operator(), schemas.AccessTokenRequest{Tenant: "*", Scopes: []schemas.Scope{"submit"}}); !errors.Is(err, ErrSystemScope) {
		t.Errorf("jobs of nobody: %v", err)
	}
}

func TestATenantHasABoundedNumberOfTokens(t *testing.T) {
	t.Parallel()
	tokens := NewTokens(nil, bucket(t, queuetest.Start(t)), nil)
	for i := range MaxTokens {
		tokens.kept[fmt.Sprint(i)] = newEntry(Token{AccessToken: schemas.AccessToken{Tenant: "alice"}}, 1)
	}
	if _, err := tokens.Create(t.Context(), Operator(), schemas.AccessTokenRequest{Tenant: "alice"}); !errors.Is(err, ErrTooMany) {
		t.Errorf("%v", err)
	}
	create(t, tokens, Operator(), schemas.AccessTokenRequest{Tenant: "bob"})
	tokens.kept["0"].ExpiresUS = time.Now().Add(-endedFor - time.Hour).UnixMicro()
	create(t, tokens, Operator(), schemas.AccessTokenRequest{Tenant: "alice"})
}

func TestRecordsThatNobodyCanReadOpenNothing(t *testing.T) {
	t.Parallel()
	b := bucket(t, queuetest.Start(t))
	made, _ := create(t, kept(t, b), Operator(), system)
	at, err := b.Get(t.Context(), made.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, damaged := range []string{"", "{}", strings.Replace(string(at.Value), `"admin"`, `"everything"`, 1), strings.Replace(string(at.Value), made.ID, "0123456789abcdef", 1)} {
		if _, err := b.Put(t.Context(), made.ID, []byte(damaged)); err != nil {
			t.Fatal(err)
		}
		tokens := kept(t, b)
		if _, err := tokens.Find(made.Secret); !errors.Is(err, ErrUnknown) {
			t.Errorf("%s: %v", damaged, err)
		}
		if _, single := tokens.User(); single || tokens.Usable() || len(tokens.List(Operator())) > 0 {
			t.Errorf("%s: a single user %v, usable %v", damaged, single, tokens.Usable())
		}
	}
}

func TestTokensThatEndedLongAgoAreForgotten(t *testing.T) {
	t.Parallel()
	b := bucket(t, queuetest.Start(t))
	old, err := NewToken("0123456789abcdef", "alice")
	if err != nil {
		t.Fatal(err)
	}
	old.CreatedUS, old.ExpiresUS = 1, time.Now().Add(-endedFor-time.Hour).UnixMicro()
	data, err := json.Marshal(schemas.AccessTokenRecord{Version: 1, AccessToken: old.AccessToken, SHA256: schemas.Digest(old.hash[:])})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(t.Context(), old.ID, data); err != nil {
		t.Fatal(err)
	}
	tokens := kept(t, b)
	if len(tokens.List(Operator())) != 1 {
		t.Fatal("the record was not read")
	}
	create(t, tokens, Operator(), system)
	if _, err := b.Get(t.Context(), old.ID); !errors.Is(err, jobqueue.ErrNotFound) {
		t.Errorf("it is still there: %v", err)
	}
}

// TestAnEmptiedBucketOpensNothing: not at a gateway that knew its tokens, and not at one that starts later.
func TestAnEmptiedBucketOpensNothing(t *testing.T) {
	t.Parallel()
	for name, empty := range map[string]func(*jobqueue.Bucket, string) error{
		"deleted": func(b *jobqueue.Bucket, id string) error { return b.Delete(t.Context(), id, 0) },
		"purged": func(b *jobqueue.Bucket, id string) error {
			e, err := b.Get(t.Context(), id)
			return errors.Join(err, b.Free(t.Context(), id, e.Revision))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := bucket(t, queuetest.Start(t))
			before := kept(t, b)
			if _, single := before.User(); !single {
				t.Fatal("no single user before the first token")
			}
			made, _ := create(t, before, Operator(), system)
			if err := empty(b, made.ID); err != nil {
				t.Fatal(err)
			}
			after := kept(t, b)
			for when, tokens := range map[string]*Tokens{"before": before, "after": after} {
				if _, single := tokens.User(); single {
					t.Errorf("a gateway that started %s has a single user", when)
				}
			}
			if after.Usable() {
				t.Error("a token can be used")
			}
			create(t, after, Operator(), system) // with the queue's credentials
		})
	}
}
