package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/program-explorer/pe/schemas"
)

// ResolvedImage is an image reference at the moment it was asked for.
type ResolvedImage struct {
	// Reference is the name in full, with registry and repository.
	Reference string
	// Digest is of the manifest or index: "sha256:" and hex.
	Digest string
	// Archs are the architectures of its Linux images, in its own order.
	Archs []string
	// Cache is the default of a job's cache: "use", or empty for none.
	Cache string
	// Prepared stands for what is done to the image before its jobs run, such as a
	// digest of it; empty for nothing.
	Prepared string
}

// Resolve turns a catalog name or a reference into a digest, as far as it may
// be run at all. What is wrong with the image is an [*ImageError]; any other
// error is a fault of the gateway.
type Resolve func(ctx context.Context, reference string) (ResolvedImage, error)

// Kinds of [ImageError].
var (
	// ErrImageUnknown: there is no such image, or it cannot be used.
	ErrImageUnknown = errors.New("unknown image")
	// ErrImageForbidden: catalog or configuration forbid it.
	ErrImageForbidden = errors.New("forbidden image")
	// ErrRegistry: the registry did not answer. Worth a retry.
	ErrRegistry = errors.New("registry unreachable")
)

// ImageError says why an image cannot be run.
type ImageError struct {
	// Kind is one of the above.
	Kind error
	// Message is shown to the user: it names the reference and the registry's answer.
	Message string
}

func (e *ImageError) Error() string { return e.Message }

// Unwrap gives the kind.
func (e *ImageError) Unwrap() error { return e.Kind }

func (e *ImageError) problem() *schemas.ProblemDocument {
	switch e.Kind {
	case ErrImageForbidden:
		return kindImageForbidden.problem(e.Message, "GET /v1/images lists the images that have names")
	case ErrRegistry:
		return kindRegistry.problem(e.Message, "try again in a moment")
	}
	return kindUnknownImage.problem(e.Message, "GET /v1/images lists the images that have names; any other needs its full reference")
}

// images answers GET /v1/images.
func (a *API) images(w http.ResponseWriter, r *http.Request, tenant string) error {
	list := schemas.ImageList{}
	if a.Images != nil {
		var err error
		if list, err = a.Images(r.Context()); err != nil {
			return fmt.Errorf("list images: %w", err)
		}
	}
	if list.Images == nil {
		list.Images = []schemas.CatalogImage{}
	}
	return a.writeLarge(w, r, tenant, list)
}

// resolve asks what a reference is now. Submissions of one image that come
// while it is being asked for share the answer.
func (a *API) resolve(ctx context.Context, reference string) (ResolvedImage, error) {
	flight := a.flight.DoChan(reference, func() (_ any, err error) {
		defer func() { // in a goroutine of its own, where a panic would end the process
			if v := recover(); v != nil {
				err = fmt.Errorf("resolve image %s: panic: %v\n%s", reference, v, debug.Stack())
			}
		}()
		// The first client to leave must not fail the others: the flight has a
		// deadline of its own, and each waits for it with its own context.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), a.ResolveTimeout)
		defer cancel()
		return a.Resolve(ctx, reference)
	})
	select {
	case <-ctx.Done():
		return ResolvedImage{}, ctx.Err()
	case r := <-flight:
		image, _ := r.Val.(ResolvedImage)
		if errors.Is(r.Err, context.DeadlineExceeded) {
			return image, &ImageError{Kind: ErrRegistry, Message: fmt.Sprintf("image %s: no answer within %s", reference, a.ResolveTimeout)}
		}
		return image, r.Err
	}
}
