package producer

import (
	"context"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// CreateToken makes an access token; the client's own needs the scope admin. If
// the answer gets lost, a token may be there whose secret nobody knows.
func (c *Client) CreateToken(ctx context.Context, want schemas.AccessTokenRequest) (schemas.NewAccessToken, error) {
	var made schemas.NewAccessToken
	body, size, err := jsonBody(want)
	if err != nil {
		return made, err
	}
	post := call{method: http.MethodPost, path: []string{"v1", "tokens"}, body: body, size: size, json: true}
	err = c.retryLimited(ctx, func() error { return c.ask(ctx, post, &made) })
	return made, err
}

// Tokens lists access tokens, the newest first: those of the client's tenant,
// or all, if its own is of the whole system.
func (c *Client) Tokens(ctx context.Context) ([]schemas.AccessToken, error) {
	var list schemas.AccessTokenList
	err := c.retry(ctx, func() error { return c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "tokens"}}, &list) })
	return list.Tokens, err
}

// RevokeToken ends an access token for good. To revoke it again changes nothing.
func (c *Client) RevokeToken(ctx context.Context, id string) (schemas.AccessToken, error) {
	var revoked schemas.AccessToken
	err := c.retry(ctx, func() error {
		return c.ask(ctx, call{method: http.MethodDelete, path: []string{"v1", "tokens", id}}, &revoked)
	})
	return revoked, err
}
