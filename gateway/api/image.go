package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"

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
func (a *API) images(w http.ResponseWriter, r *http.Request, _ string) error {
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
	return writeJSON(w, http.StatusOK, list)
}

const (
	resolvedKept = 4096
	// tagLife is for how long a tag is taken to name the same digest: long
	// enough for a burst of jobs, short enough for somebody who just pushed.
	tagLife = 10 * time.Second
)

// resolveCache keeps a burst of submissions of one image from asking the
// registry once each. What names a digest never changes.
type resolveCache struct {
	ask     Resolve
	timeout time.Duration
	flight  singleflight.Group
	kept    *lru.Cache[string, resolution]
}

type resolution struct {
	image ResolvedImage
	at    time.Time
}

func newResolveCache(ask Resolve, timeout time.Duration) *resolveCache {
	kept, err := lru.New[string, resolution](resolvedKept)
	if err != nil {
		panic("api: " + err.Error()) // only a size that is not positive
	}
	return &resolveCache{ask: ask, timeout: timeout, kept: kept}
}

func (c *resolveCache) resolve(ctx context.Context, reference string) (ResolvedImage, error) {
	if r, ok := c.kept.Get(reference); ok && (strings.Contains(reference, "@sha256:") || time.Since(r.at) < tagLife) {
		return r.image, nil
	}
	// The first client to leave must not fail the others: the flight has a
	// deadline of its own, and each waits for it with its own context.
	flight := c.flight.DoChan(reference, func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), c.timeout)
		defer cancel()
		image, err := c.ask(ctx, reference)
		if err == nil {
			c.kept.Add(reference, resolution{image: image, at: time.Now()})
		}
		return image, err
	})
	select {
	case <-ctx.Done():
		return ResolvedImage{}, ctx.Err()
	case r := <-flight:
		image, _ := r.Val.(ResolvedImage)
		if errors.Is(r.Err, context.DeadlineExceeded) {
			r.Err = &ImageError{Kind: ErrRegistry, Message: fmt.Sprintf("image %s: the registry did not answer within %s", reference, c.timeout)}
		}
		return image, r.Err
	}
}
