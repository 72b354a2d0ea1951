package objstore

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
)

// SignedRequest lets its holder do one thing to one object until it expires.
// All of Header must be sent as given. The URL is a credential: its query is
// left out when the request is logged or printed.
type SignedRequest struct {
	Method string
	URL    string
	Header http.Header
}

// NewRequest makes the HTTP request. body is nil for a GET; for a PUT its
// length must be the one that was signed.
func (s SignedRequest) NewRequest(ctx context.Context, body io.Reader) (*http.Request, error) {
	size := int64(0)
	if text := s.Header.Get("Content-Length"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 0 {
			return nil, fmt.Errorf("make signed request: content length %q", text)
		}
		size = n
	}
	if size == 0 {
		// net/http sends Content-Length: 0 for NoBody only; for another empty
		// reader it would send chunks, which the stores refuse.
		body = http.NoBody
	}
	req, err := http.NewRequestWithContext(ctx, s.Method, s.URL, body)
	if err != nil {
		return nil, fmt.Errorf("make signed request: %w", err)
	}
	req.Header = s.Header.Clone()
	if req.Header == nil {
		req.Header = http.Header{}
	}
	req.ContentLength = size
	return req, nil
}

// String shows the request without its signature.
func (s SignedRequest) String() string {
	u, err := url.Parse(s.URL)
	if err != nil {
		return s.Method + " [unparsable]"
	}
	u.RawQuery, u.User = "", nil
	return s.Method + " " + u.String()
}

// GoString keeps %#v from showing the signature.
func (s SignedRequest) GoString() string { return s.String() }

// LogValue keeps the signature out of logs.
func (s SignedRequest) LogValue() slog.Value { return slog.StringValue(s.String()) }
