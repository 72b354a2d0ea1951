package executor

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// transfer moves objects by requests that a gateway signed. None of its errors
// holds a request's URL, whose query is a credential.
type transfer struct {
	client *http.Client
	// store is what its tries say of the object store.
	store storeHealth
	// patience with a store that does not answer, or not now.
	patience patience
	// stall is how long a transfer may make no progress.
	stall time.Duration
}

// transferPatience is for a store that is away, or has no room, for minutes:
// what a job has made is worth more than the slot that waits with it, which
// could do little else meanwhile.
var transferPatience = patience{pause: 100 * time.Millisecond, most: 10 * time.Second, within: 4 * time.Minute}

const (
	transferStall = time.Minute
	// maxMismatches is how often an object may arrive as another than was asked for.
	maxMismatches = 3
)

// newTransfer follows no redirects: a signed request is for one address.
func newTransfer(client *http.Client) *transfer {
	own := *client
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &transfer{client: &own, patience: transferPatience, stall: transferStall}
}

var (
	// errNotAsSaid: the object is not what the specification says.
	errNotAsSaid = errors.New("object is not what was asked for")
	// errForbidden: the store does not accept the signature, perhaps not any more.
	errForbidden = errors.New("signature not accepted")
	errStalled   = errors.New("no progress")
)

// get copies an object to w, which is written from 0 again on every try. It
// fails unless the object has exactly this size and digest.
func (t *transfer) get(ctx context.Context, req schemas.SignedRequest, size int64, digest string, w io.WriterAt) error {
	mismatches := 0
	return t.insist(ctx, func(ctx context.Context, watch *stallWatch) error {
		resp, err := t.do(ctx, req, nil, 0)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		err = copyVerified(&localWriter{io.NewOffsetWriter(w, 0)}, &watched{resp.Body, watch}, size, digest)
		if errors.Is(err, errNotAsSaid) {
			if mismatches++; mismatches >= maxMismatches {
				err = final(err)
			}
		}
		return redact(ctx, err)
	})
}

// put uploads size bytes of r.
func (t *transfer) put(ctx context.Context, req schemas.SignedRequest, r io.ReaderAt, size int64) error {
	return t.insist(ctx, func(ctx context.Context, watch *stallWatch) error {
		resp, err := t.do(ctx, req, &watched{io.NewSectionReader(r, 0, size), watch}, size)
		if err != nil {
			return err
		}
		drain(resp.Body)
		return nil
	})
}

// insist tries until it succeeds, fails for good, or patience or ctx ends, and
// notes what that says of the store.
func (t *transfer) insist(ctx context.Context, try func(context.Context, *stallWatch) error) error {
	waits := false // for the store
	err := t.patience.retry(ctx, func() error {
		trying, watch := t.watch(ctx)
		defer watch.stop()
		err := try(trying, watch)
		switch {
		case err == nil || errors.Is(err, errFinal) || errors.Is(err, errNotAsSaid):
			t.store.answered()
		case ctx.Err() == nil: // else it is the attempt that has ended
			t.store.failed(!waits)
			waits = true
		}
		return err
	})
	if waits {
		t.store.over()
	}
	return err
}

// resigned sends a request, and once more with a new signature if the store no
// longer takes the first: a signature is good for five minutes, a queue of
// transfers may take longer.
func resigned(ctx context.Context, req schemas.SignedRequest, sign func(context.Context) (schemas.SignedRequest, error), send func(schemas.SignedRequest) error) error {
	err := send(req)
	if !errors.Is(err, errForbidden) {
		return err
	}
	if req, err = sign(ctx); err != nil {
		return err
	}
	return send(req)
}

func (t *transfer) do(ctx context.Context, signed schemas.SignedRequest, body io.Reader, size int64) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, signed.Method, signed.URL, body)
	if err != nil {
		return nil, final(errors.New("signed request is malformed")) // the error would quote it
	}
	for name, values := range signed.Header {
		req.Header[http.CanonicalHeaderKey(name)] = values
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	resp, err := t.client.Do(req)
	if err != nil {
		return nil, redact(ctx, err)
	}
	if resp.StatusCode/100 == 2 || accepted(signed, resp.StatusCode) {
		return resp, nil
	}
	return nil, refusal(resp)
}

// accepted: the object is there already. The key holds the attempt and the
// request its digest, so it is our own earlier try whose answer was lost.
func accepted(signed schemas.SignedRequest, status int) bool {
	return signed.Method == http.MethodPut && status == http.StatusPreconditionFailed
}

// maxRefusal is how much of a refusal's body is looked at, in bytes.
const maxRefusal = 4096

// refusalCode is what S3 servers call an error. The rest of their answers may
// repeat the request, signature and all.
var refusalCode = regexp.MustCompile(`<Code>([A-Za-z0-9.]{1,64})</Code>`)

// refusal says what the store answered, and whether another try is of use.
func refusal(resp *http.Response) error {
	defer resp.Body.Close()
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal)) // what came is enough
	err := fmt.Errorf("object store answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	if code := refusalCode.FindSubmatch(text); code != nil {
		err = fmt.Errorf("%w (%s)", err, code[1])
	}
	switch status := resp.StatusCode; {
	case status >= 500, status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status == http.StatusConflict:
		return err
	case status == http.StatusForbidden:
		return final(fmt.Errorf("%w: %w", errForbidden, err))
	case status == http.StatusNotFound:
		return final(fmt.Errorf("%w: %w", errNotAsSaid, err))
	}
	return final(err)
}

// redact drops the URL from a client's error, and tells a stalled transfer.
func redact(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if cause := context.Cause(ctx); cause != nil {
		return fmt.Errorf("reach object store: %w", cause)
	}
	var u *url.Error
	if errors.As(err, &u) {
		return fmt.Errorf("reach object store: %w", u.Err)
	}
	return err
}

// drain reads a short answer to its end, so that its connection is used again.
func drain(body io.ReadCloser) {
	_, _ = io.Copy(io.Discard, io.LimitReader(body, maxRefusal)) // only a connection is at stake
	body.Close()
}

func copyVerified(w io.Writer, r io.Reader, size int64, digest string) error {
	hash := sha256.New()
	n, err := io.Copy(io.MultiWriter(w, hash), io.LimitReader(r, size+1))
	switch {
	case err != nil:
		return err
	case n > size:
		return final(fmt.Errorf("%w: it has more than %d bytes", errNotAsSaid, size))
	case n < size:
		return final(fmt.Errorf("%w: it has %d bytes, want %d", errNotAsSaid, n, size))
	}
	if got := schemas.Digest(hash.Sum(nil)); got != digest {
		return fmt.Errorf("%w: it has digest %s, want %s", errNotAsSaid, got, digest)
	}
	return nil
}

// localWriter marks errors of this host's own disk: the store can't mend them.
type localWriter struct{ w io.Writer }

func (l *localWriter) Write(p []byte) (int, error) {
	n, err := l.w.Write(p)
	if err != nil {
		err = final(err)
	}
	return n, err
}

// stallWatch ends a transfer that makes no progress.
type stallWatch struct {
	timer  *time.Timer
	after  time.Duration
	cancel context.CancelCauseFunc
}

func (t *transfer) watch(ctx context.Context) (context.Context, *stallWatch) {
	ctx, cancel := context.WithCancelCause(ctx)
	timer := time.AfterFunc(t.stall, func() { cancel(fmt.Errorf("%w within %s", errStalled, t.stall)) })
	return ctx, &stallWatch{timer, t.stall, cancel}
}

func (s *stallWatch) stop() {
	s.timer.Stop()
	s.cancel(nil)
}

// watched notes the progress of what is read through it.
type watched struct {
	io.Reader
	watch *stallWatch
}

func (w *watched) Read(p []byte) (int, error) {
	n, err := w.Reader.Read(p)
	if n > 0 {
		w.watch.timer.Reset(w.watch.after)
	}
	return n, err
}
