package producer

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// DefaultServer is where `ped up` listens.
const DefaultServer = "http://127.0.0.1:7300"

// Bounds on what is read of an answer, in bytes.
const (
	maxAnswer  = 64 << 20
	maxProblem = 1 << 20
)

// Config says which gateway to talk to, and how.
type Config struct {
	// Server is the gateway's address, http or https. Default [DefaultServer].
	Server string
	// Token is the access token. Default none.
	Token string
	// HTTPClient sends the requests. It should have no overall timeout: long polls
	// and streams end by their context. Default: a client of its own.
	HTTPClient *http.Client
	// UserAgent names the program. Default "pe-sdk".
	UserAgent string
	// Patience is how long an operation that can be resumed goes on trying after
	// the gateway was last heard of. Default 1 minute.
	Patience time.Duration
}

// Client talks to one gateway. Its methods may be called concurrently.
type Client struct {
	base      *url.URL
	token     string
	http      *http.Client
	userAgent string
	patience  time.Duration
}

// New checks the configuration. It does not connect.
func New(c Config) (*Client, error) {
	if c.Server == "" {
		c.Server = DefaultServer
	}
	base, err := url.Parse(c.Server)
	if err != nil || base.Host == "" || base.Scheme != "http" && base.Scheme != "https" || base.User != nil || base.RawQuery != "" {
		return nil, fmt.Errorf("server %.200q: want an address such as %s", c.Server, DefaultServer)
	}
	if strings.ContainsAny(c.Token, "\r\n \t") {
		return nil, fmt.Errorf("access token: want one without spaces and line ends")
	}
	base.Path = strings.TrimRight(base.Path, "/")
	client := &Client{base: base, token: c.Token, http: c.HTTPClient, userAgent: c.UserAgent, patience: c.Patience}
	if client.http == nil {
		client.http = &http.Client{Transport: transport()}
	}
	if client.userAgent == "" {
		client.userAgent = "pe-sdk"
	}
	if client.patience <= 0 {
		client.patience = time.Minute
	}
	return client, nil
}

func transport() http.RoundTripper {
	t, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		return http.DefaultTransport
	}
	t = t.Clone()
	t.MaxIdleConnsPerHost = 8
	return t
}

// Server is the gateway's address.
func (c *Client) Server() string { return c.base.String() }

// A call is one request to the API.
type call struct {
	method string
	path   []string // parts, unescaped
	query  url.Values
	accept string
	header http.Header
	// body opens what is sent, anew for each try; nil for none.
	body func() (io.ReadCloser, error)
	size int64
	// json says that the body is JSON.
	json bool
}

func jsonBody(v any) (func() (io.ReadCloser, error), int64, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return nil, 0, fmt.Errorf("encode request: %w", err)
	}
	return func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(data)), nil }, int64(len(data)), nil
}

// send does one try. The answer's status is 2xx; its body is the caller's to close.
func (c *Client) send(ctx context.Context, what call) (*http.Response, error) {
	req, err := c.request(ctx, what)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, c.unreachable(ctx, err)
	}
	if resp.StatusCode/100 != 2 {
		defer resp.Body.Close()
		return nil, readProblem(resp)
	}
	return resp, nil
}

func (c *Client) request(ctx context.Context, what call) (*http.Request, error) {
	u := *c.base
	escaped := u.EscapedPath()
	for _, part := range what.path {
		u.Path += "/" + part
		escaped += "/" + url.PathEscape(part)
	}
	u.RawPath, u.RawQuery = escaped, what.query.Encode()
	req, err := http.NewRequestWithContext(ctx, what.method, u.String(), nil)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	if what.body != nil {
		if req.Body, err = what.body(); err != nil {
			return nil, err
		}
		// A redirect or a connection that was closed while idle sends it again.
		req.GetBody, req.ContentLength = what.body, what.size
		if what.size == 0 {
			req.Body.Close()
			req.Body, req.GetBody = http.NoBody, nil
		}
	}
	for name, values := range what.header {
		req.Header[name] = values
	}
	req.Header.Set("User-Agent", c.userAgent)
	req.Header.Set("Accept", "application/json")
	if what.accept != "" {
		req.Header.Set("Accept", what.accept)
	}
	if what.json {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.token != "" {
		req.Header.Set("Authorization", "Bearer "+c.token)
	}
	return req, nil
}

// ask sends a call and decodes the answer, whose unknown members a newer gateway may have added.
func (c *Client) ask(ctx context.Context, what call, answer any) error {
	resp, err := c.send(ctx, what)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return c.unreachable(ctx, err)
	}
	if len(data) > maxAnswer {
		return fmt.Errorf("answer of %s: %w: more than %d bytes", c.Server(), schemas.ErrTooLarge, maxAnswer)
	}
	if err := json.Unmarshal(data, answer); err != nil {
		return fmt.Errorf("decode the answer of %s (is it a Program Explorer gateway?): %w", c.Server(), err)
	}
	return nil
}
