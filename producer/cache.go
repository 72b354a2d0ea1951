package producer

import (
	"context"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// Cache says what the gateway's cache holds of this tenant's results.
func (c *Client) Cache(ctx context.Context) (schemas.CacheInfo, error) {
	return c.cache(ctx, http.MethodGet)
}

// ClearCache has the gateway forget the results: jobs that are submitted from
// now on are run. It returns what the cache holds then.
func (c *Client) ClearCache(ctx context.Context) (schemas.CacheInfo, error) {
	return c.cache(ctx, http.MethodDelete)
}

func (c *Client) cache(ctx context.Context, method string) (info schemas.CacheInfo, err error) {
	err = c.retry(ctx, func() error {
		return c.ask(ctx, call{method: method, path: []string{"v1", "cache"}}, &info)
	})
	return info, err
}
