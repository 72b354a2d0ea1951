package producer

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// pollWait is how long one long poll waits: less than proxies commonly allow.
const pollWait = 30 * time.Second

// Submit posts a job. With an idempotency key it is repeated until the gateway
// has answered; without, an answer that got lost is an [UnreachableError], and
// the job may or may not have been accepted.
func (c *Client) Submit(ctx context.Context, spec schemas.JobSpec) (schemas.Job, error) {
	var job schemas.Job
	body, size, err := jsonBody(spec)
	if err != nil {
		return job, err
	}
	post := call{method: http.MethodPost, path: []string{"v1", "jobs"}, body: body, size: size, json: true}
	try := func() error { return c.ask(ctx, post, &job) }
	if spec.IdempotencyKey == "" {
		err = c.retryLimited(ctx, try)
	} else {
		err = c.retry(ctx, try)
	}
	return job, err
}

// Job returns a job with its specification and, once it has ended, its result.
func (c *Client) Job(ctx context.Context, id string) (schemas.Job, error) {
	var job schemas.Job
	err := c.retry(ctx, func() error { return c.ask(ctx, getJob(id, 0), &job) })
	return job, err
}

func getJob(id string, wait time.Duration) call {
	query := url.Values{}
	if wait > 0 {
		query.Set("wait", wait.String())
	}
	return call{method: http.MethodGet, path: []string{"v1", "jobs", id}, query: query}
}

// Wait returns the job once it has ended. It goes on over broken connections
// and a restarting gateway.
func (c *Client) Wait(ctx context.Context, id string) (schemas.Job, error) {
	p := c.newPatience()
	for first := true; ; first = false {
		var job schemas.Job
		err := c.ask(ctx, getJob(id, pollWait), &job)
		if err == nil {
			p.reset()
			if job.State.Terminal() {
				return job, nil
			}
			continue
		}
		if first && refused(err) {
			return job, err
		}
		if err := p.pause(ctx, err); err != nil {
			return job, fmt.Errorf("wait for job %s: %w", id, err)
		}
	}
}

// Run submits a job and waits for its end.
func (c *Client) Run(ctx context.Context, spec schemas.JobSpec) (schemas.Job, error) {
	job, err := c.Submit(ctx, spec)
	if err != nil || job.State.Terminal() && job.Result != nil {
		return job, err
	}
	return c.Wait(ctx, job.ID)
}

// Cancel asks for a job's end. Cancelling one that has ended changes nothing.
func (c *Client) Cancel(ctx context.Context, id string) (schemas.Job, error) {
	var job schemas.Job
	del := call{method: http.MethodDelete, path: []string{"v1", "jobs", id}}
	err := c.retry(ctx, func() error { return c.ask(ctx, del, &job) })
	return job, err
}

// A Filter selects jobs in a list.
type Filter struct {
	// States to list; empty for all.
	States []schemas.State
	// Labels that a job must have, with these values.
	Labels map[string]string
	// PageSize is how many come with one request. Default: the gateway's.
	PageSize int
}

// List yields jobs, the newest first, page by page as they are asked for. It
// ends after the first error.
func (c *Client) List(ctx context.Context, f Filter) iter.Seq2[schemas.Job, error] {
	return func(yield func(schemas.Job, error) bool) {
		query := f.query()
		for {
			var page schemas.JobList
			get := call{method: http.MethodGet, path: []string{"v1", "jobs"}, query: query}
			if err := c.retry(ctx, func() error { return c.ask(ctx, get, &page) }); err != nil {
				yield(schemas.Job{}, err)
				return
			}
			for _, job := range page.Jobs {
				if !yield(job, nil) {
					return
				}
			}
			if page.Next == "" || page.Next == query.Get("cursor") {
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

func (f Filter) query() url.Values {
	q := url.Values{}
	for _, s := range f.States {
		q.Add("state", string(s))
	}
	for k, v := range f.Labels {
		q.Add("label", k+"="+v)
	}
	if f.PageSize > 0 {
		q.Set("limit", strconv.Itoa(f.PageSize))
	}
	return q
}

// Executors lists the machines that the gateway knows.
func (c *Client) Executors(ctx context.Context) ([]schemas.Executor, error) {
	var list schemas.ExecutorList
	err := c.retry(ctx, func() error {
		return c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "executors"}}, &list)
	})
	return list.Executors, err
}

// Images lists the catalog: names that may stand for an image.
func (c *Client) Images(ctx context.Context) (schemas.ImageList, error) {
	var list schemas.ImageList
	err := c.retry(ctx, func() error {
		return c.ask(ctx, call{method: http.MethodGet, path: []string{"v1", "images"}}, &list)
	})
	return list, err
}
