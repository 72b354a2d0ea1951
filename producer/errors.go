package producer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"syscall"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// UnreachableError says that no answer came from the gateway.
type UnreachableError struct {
	// Server is the gateway's address.
	Server string
	Err    error
}

func (e *UnreachableError) Error() string {
	if e.Refused() {
		return fmt.Sprintf("no gateway at %s: start one with `ped up`, or set PE_SERVER", e.Server)
	}
	return fmt.Sprintf("reach gateway %s: %v", e.Server, e.Err)
}

func (e *UnreachableError) Unwrap() error { return e.Err }

// Refused reports whether nothing listens at the address.
func (e *UnreachableError) Refused() bool { return errors.Is(e.Err, syscall.ECONNREFUSED) }

// unreachable wraps what the HTTP client says, without the request's address, which it repeats.
func (c *Client) unreachable(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var repeats *url.Error
	if errors.As(err, &repeats) {
		err = repeats.Err
	}
	return &UnreachableError{Server: c.Server(), Err: err}
}

// readProblem turns an answer that is not 2xx into a *schemas.ProblemDocument,
// whoever sent it: a proxy in between knows nothing of problem documents.
func readProblem(resp *http.Response) error {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem))
	p := &schemas.ProblemDocument{}
	media, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil || media != "application/problem+json" || json.Unmarshal(data, p) != nil || p.Title == "" {
		p = &schemas.ProblemDocument{
			Type: "about:blank", Title: http.StatusText(resp.StatusCode),
			Detail: fmt.Sprintf("the server answered %s, and not as a Program Explorer gateway does", resp.Status),
		}
	}
	p.Status = resp.StatusCode
	if after := retryAfter(resp.Header.Get("Retry-After"), time.Now()); after > 0 {
		return &laterError{ProblemDocument: p, after: after}
	}
	return p
}

// laterError is a problem of which the server said when to try again.
type laterError struct {
	*schemas.ProblemDocument
	after time.Duration
}

func (e *laterError) Unwrap() error { return e.ProblemDocument }

// retryAfter reads the header: seconds, or an instant; 0 if it is neither.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(header, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return max(0, at.Sub(now))
}

// Transient reports whether the same request may do better in a moment: the
// gateway was not reached, or it said so.
func Transient(err error) bool {
	var unreachable *UnreachableError
	if errors.As(err, &unreachable) {
		return true
	}
	var p *schemas.ProblemDocument
	if !errors.As(err, &p) {
		return false
	}
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// limited reports whether the gateway let the request not even in, or had no
// room for what it asks, so that nothing was done and any call may be repeated.
func limited(err error) bool {
	var p *schemas.ProblemDocument
	return errors.As(err, &p) && p.Status == http.StatusTooManyRequests
}

func refused(err error) bool {
	var u *UnreachableError
	return errors.As(err, &u) && u.Refused()
}
