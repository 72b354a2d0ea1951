package roles

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/program-explorer/pe/gateway/access"
	"github.com/program-explorer/pe/internal/jobqueue"
	"github.com/program-explorer/pe/schemas"
)

// TokenBucket is the bucket of access tokens, reached without a gateway, by
// whoever has the queue's credentials: nothing there is refused to him.
type TokenBucket struct {
	queue  *jobqueue.Queue
	tokens *access.Tokens
}

// OpenTokens connects, makes the bucket if there is none, and reads it.
func OpenTokens(ctx context.Context, c jobqueue.Config) (*TokenBucket, error) {
	queue, err := jobqueue.Connect(ctx, c)
	if err != nil {
		return nil, err
	}
	b := &TokenBucket{queue: queue, tokens: access.NewTokens(nil, queue.Tokens, c.Log)}
	if err = queue.EnsureTokens(ctx); err == nil {
		err = b.tokens.Load(ctx)
	}
	if err != nil {
		queue.Close()
		return nil, err
	}
	return b, nil
}

// CreateToken makes a token of any tenant.
func (b *TokenBucket) CreateToken(ctx context.Context, want schemas.AccessTokenRequest) (schemas.NewAccessToken, error) {
	return b.tokens.Create(ctx, access.Operator(), want)
}

// Tokens lists all of them, the newest first.
func (b *TokenBucket) Tokens(context.Context) ([]schemas.AccessToken, error) {
	return b.tokens.List(access.Operator()), nil
}

// RevokeToken ends a token, even the last one.
func (b *TokenBucket) RevokeToken(ctx context.Context, id string) (schemas.AccessToken, error) {
	return b.tokens.Revoke(ctx, access.Operator(), id)
}

// Close ends the connection.
func (b *TokenBucket) Close() { b.queue.Close() }

// AppendToken makes a token and writes its line, without the secret, to the end
// of a token file, which it creates for its owner alone if there is none.
func AppendToken(path string, want schemas.AccessTokenRequest) (schemas.NewAccessToken, error) {
	secret := access.NewSecret()
	token, err := access.NewToken(secret, want.Tenant, want.Scopes...)
	if err != nil {
		return schemas.NewAccessToken{}, err
	}
	token.Name = want.Name
	names := make([]string, 0, len(token.Scopes))
	for _, s := range token.Scopes {
		names = append(names, string(s))
	}
	comment := ""
	if want.Name != "" {
		comment = "# " + want.Name + "\n"
	}
	file, err := os.OpenFile(path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return schemas.NewAccessToken{}, fmt.Errorf("write token file: %w", err)
	}
	_, err = fmt.Fprintf(file, "%s%s %s %s\n", comment, token.Digest(), token.Tenant, strings.Join(names, ","))
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return schemas.NewAccessToken{}, fmt.Errorf("write token file: %w", err)
	}
	return schemas.NewAccessToken{AccessToken: token.AccessToken, Secret: secret}, nil
}
