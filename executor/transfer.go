package executor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// transfer moves objects by requests that a gateway signed.
type transfer struct {
	client *http.Client
}

// transferTries bounds the tries for one object; pauses between them double from transferPause.
const (
	transferTries = 4
	transferPause = 100 * time.Millisecond
)

// errRefused is a store's final word: another try gets the same.
var errRefused = errors.New("refused")

// get copies an object to w, which is rewound by being written from 0 again on
// every try. It fails unless the object has exactly this size and digest.
func (t *transfer) get(ctx context.Context, req schemas.SignedRequest, size int64, digest string, w io.WriterAt) error {
	return retry(ctx, func() error {
		body, err := t.do(ctx, req, nil, 0)
		if err != nil {
			return err
		}
		defer body.Close()
		return copyVerified(io.NewOffsetWriter(w, 0), body, size, digest)
	})
}

// put uploads size bytes of r.
func (t *transfer) put(ctx context.Context, req schemas.SignedRequest, r io.ReaderAt, size int64) error {
	return retry(ctx, func() error {
		body, err := t.do(ctx, req, io.NewSectionReader(r, 0, size), size)
		if err != nil {
			return err
		}
		return body.Close()
	})
}

func (t *transfer) do(ctx context.Context, signed schemas.SignedRequest, body io.Reader, size int64) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, body)
	if err != nil {
		return nil, fmt.Errorf("%w: signed request: %w", errRefused, err)
	}
	for k, v := range signed.Header {
		req.Header[k] = v
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, redact(err)
	}
	if resp.StatusCode/100 == 2 || accepted(signed, resp.StatusCode) {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, 256))
	err = fmt.Errorf("object store answered %s: %q", resp.Status, text)
	if resp.StatusCode/100 == 4 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout {
		err = fmt.Errorf("%w: %w", errRefused, err)
	}
	return nil, err
}

// accepted: the object is there already. The key holds the attempt and the
// request its digest, so it is our own earlier try whose answer was lost.
func accepted(signed schemas.SignedRequest, status int) bool {
	return signed.Method == http.MethodPut && status == http.StatusPreconditionFailed
}

// redact drops the URL, whose query is a credential, from a client's error.
func redact(err error) error {
	var u interface{ Unwrap() error }
	if errors.As(err, &u) && u.Unwrap() != nil {
		return fmt.Errorf("reach object store: %w", u.Unwrap())
	}
	return fmt.Errorf("reach object store: %w", err)
}

func copyVerified(w io.Writer, r io.Reader, size int64, digest string) error {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(r, size+1))
	if err != nil {
		return err
	}
	if n != size {
		return fmt.Errorf("object has %d bytes or more, want %d", n, size)
	}
	if got := schemas.Digest(hash.Sum(nil)); got != digest {
		return fmt.Errorf("object has digest %s, want %s", got, digest)
	}
	return nil
}

func retry(ctx context.Context, try func() error) error {
	pause := transferPause
	for n := 1; ; n++ {
		err := try()
		if err == nil || n == transferTries || errors.Is(err, errRefused) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause):
			pause *= 2
		}
	}
}
