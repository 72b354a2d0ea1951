package producer

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/program-explorer/pe/schemas"
)

// Outputs returns all outputs of a job that has ended, as a tar stream. It
// comes from a machine that ran a stranger's program: give it to [Unpack], or
// trust nothing in it.
func (c *Client) Outputs(ctx context.Context, id string) (io.ReadCloser, error) {
	return c.open(ctx, call{method: http.MethodGet, path: []string{"v1", "jobs", id, "outputs"}, accept: "application/x-tar"})
}

// OutputFile returns one output. The path is relative to /output.
func (c *Client) OutputFile(ctx context.Context, id, path string) (io.ReadCloser, error) {
	parts := append([]string{"v1", "jobs", id, "outputs"}, strings.Split(path, "/")...)
	return c.open(ctx, call{method: http.MethodGet, path: parts, accept: "*/*"})
}

func (c *Client) open(ctx context.Context, what call) (io.ReadCloser, error) {
	var body io.ReadCloser
	err := c.retry(ctx, func() error {
		resp, err := c.send(ctx, what)
		if err == nil {
			body = resp.Body
		}
		return err
	})
	return body, err
}

// OutputList lists all outputs of a job that has ended.
func (c *Client) OutputList(ctx context.Context, id string) ([]schemas.Output, error) {
	var list schemas.OutputList
	get := call{method: http.MethodGet, path: []string{"v1", "jobs", id, "outputs"}}
	err := c.retry(ctx, func() error { return c.ask(ctx, get, &list) })
	return list.Outputs, err
}

// Log returns what a job has written so far to one stream: schemas.StreamStdout or schemas.StreamStderr.
func (c *Client) Log(ctx context.Context, id, stream string) (io.ReadCloser, error) {
	return c.open(ctx, call{
		method: http.MethodGet, path: []string{"v1", "jobs", id, "logs"}, query: url.Values{"stream": {stream}}, accept: "text/plain",
	})
}
