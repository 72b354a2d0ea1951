package producer

import (
	"context"
	"net/http"

	"github.com/program-explorer/pe/schemas"
)

// RetryDead queues a dead job again: the same job, with all its tries before it. It
// is refused if the job is not dead, if its inputs are not stored any more, or
// if its deadline is over. It is asked again only if there were too many requests: of an
// [UnreachableError], the job itself tells whether it was queued.
func (c *Client) RetryDead(ctx context.Context, id string) (schemas.Job, error) {
	return c.verb(ctx, id, "retry")
}

// DropDead removes a dead job and what it left, for good, and returns it as it was.
func (c *Client) DropDead(ctx context.Context, id string) (schemas.Job, error) {
	return c.verb(ctx, id, "drop")
}

func (c *Client) verb(ctx context.Context, id, verb string) (job schemas.Job, err error) {
	post := call{method: http.MethodPost, path: []string{"v1", "jobs", id + ":" + verb}, json: true}
	err = c.retryLimited(ctx, func() error { return c.ask(ctx, post, &job) })
	return job, err
}
