package producer

import (
	"context"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// Usage says what this tenant has, of jobs and of stored bytes, and how much it may have.
func (c *Client) Usage(ctx context.Context) (u schemas.TenantUsage, err error) {
	err = c.retry(ctx, func() error {
		return c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "usage"}}, &u)
	})
	return u, err
}
