package imagesync

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"

	"code.dny.dev/ssrf"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/program-explorer/pe/imagesync/flatten"
)

// The kinds of failure, to be told apart with errors.Is. All errors of a
// Resolver or a Cache that concern an image are of type *Error and match
// at most one kind; what matches none is a fault of this machine.
var (
	// ErrNotFound: the registry, folder or archive has no such image.
	ErrNotFound = errors.New("image not found")
	// ErrWrongPlatform: the image exists, but not for the architecture asked for.
	ErrWrongPlatform = errors.New("image has no such platform")
	// ErrUnauthorised: the registry wants credentials that were not given.
	ErrUnauthorised = errors.New("image access denied")
	// ErrTooBig: the image exceeds a cap; the error names it.
	ErrTooBig = errors.New("image too big")
	// ErrRefused: the catalog or the configuration forbids the reference.
	ErrRefused = errors.New("image refused")
	// ErrUnreachable: the registry did not answer, or not now. Worth a retry.
	ErrUnreachable = errors.New("registry unreachable")
	// ErrInvalid: the reference or the image is malformed, or bytes do not have
	// the digest that they should have.
	ErrInvalid = errors.New("invalid image")
	// ErrInUse: the image is pinned by a running job.
	ErrInUse = errors.New("image in use")
)

// Error is a failure to resolve, pull or build an image.
type Error struct {
	// Kind is one of the sentinels above.
	Kind error
	// Reference is what the user wrote.
	Reference string
	// Platforms are those that the image has, when Kind is ErrWrongPlatform.
	Platforms []string
	// Err is the cause: the registry's own answer, the cap, the digest.
	Err error
}

func (e *Error) Error() string {
	text := fmt.Sprintf("image %q: %s", e.Reference, strings.TrimPrefix(e.Kind.Error(), "image "))
	if e.Err != nil {
		text += ": " + strings.TrimPrefix(e.Err.Error(), e.Kind.Error()+": ")
	}
	return text
}

func (e *Error) Unwrap() []error { return []error{e.Kind, e.Err} }

// Retryable tells whether the same call may succeed later.
func (e *Error) Retryable() bool { return e.Kind == ErrUnreachable }

func fail(kind error, reference, format string, args ...any) error {
	return &Error{Kind: kind, Reference: reference, Err: fmt.Errorf(format, args...)}
}

// classify gives an error its kind. What is no image's fault stays as it is.
func classify(reference string, err error) error {
	var typed *Error
	if err == nil || errors.As(err, &typed) || errors.Is(err, context.Canceled) {
		return err
	}
	if kind := kindOf(err); kind != nil {
		return &Error{Kind: kind, Reference: reference, Err: err}
	}
	return fmt.Errorf("image %q: %w", reference, err)
}

func kindOf(err error) error {
	var limit *flatten.LimitError
	var wrong *wrongPlatform
	var answer *transport.Error
	var dns *net.DNSError
	var network net.Error
	var address *url.Error
	switch {
	case errors.As(err, &wrong):
		return ErrWrongPlatform
	case errors.As(err, &limit):
		return ErrTooBig
	case errors.Is(err, errGuarded), errors.Is(err, ssrf.ErrProhibitedIP),
		errors.Is(err, ssrf.ErrProhibitedPort), errors.Is(err, ssrf.ErrProhibitedNetwork):
		return ErrRefused
	case errors.Is(err, flatten.ErrInvalid), errors.Is(err, ErrInvalid):
		return ErrInvalid
	case errors.Is(err, ErrNotFound):
		return ErrNotFound
	case errors.As(err, &answer):
		return kindOfStatus(answer.StatusCode)
	case errors.As(err, &dns), errors.As(err, &network), errors.As(err, &address),
		errors.Is(err, context.DeadlineExceeded), errors.Is(err, errInterrupted):
		return ErrUnreachable
	}
	return nil
}

func kindOfStatus(status int) error {
	switch {
	case status == http.StatusNotFound:
		return ErrNotFound
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return ErrUnauthorised
	case status == http.StatusTooManyRequests, status == http.StatusRequestTimeout, status >= 500:
		return ErrUnreachable
	}
	return ErrInvalid
}
