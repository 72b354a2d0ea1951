package imagesync

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

// ResolverConfig configures a Resolver.
type ResolverConfig struct {
	Sources
	// TTL is how long a tag's digest is remembered. Default 1 minute; negative: not at all.
	TTL time.Duration
	// MaxEntries bounds how many references are remembered. Default 4096.
	MaxEntries int
	// Timeout bounds one resolution. Default 20 seconds.
	Timeout time.Duration
}

// Resolver turns what a user wrote into a digest. The gateway asks it once for
// each job, at submission.
type Resolver struct {
	sources    *sources
	ttl        time.Duration
	maxEntries int
	timeout    time.Duration

	// asking joins those who ask for the same reference at the same time.
	asking singleflight.Group

	mu    sync.Mutex
	known map[string]remembered
}

type remembered struct {
	resolved Resolved
	until    time.Time
}

// Resolved is an image as it is named and found at one moment.
type Resolved struct {
	// Reference is what to give to a Cache: in full, or an imported name.
	Reference string
	// Digest is the sha256 of the manifest, or of the index of several platforms.
	Digest string
	// Platforms are those of the image, such as linux/amd64.
	Platforms []string
}

// NewResolver returns a Resolver.
func NewResolver(c ResolverConfig) *Resolver {
	if c.TTL == 0 {
		c.TTL = time.Minute
	}
	if c.MaxEntries == 0 {
		c.MaxEntries = 4096
	}
	if c.Timeout == 0 {
		c.Timeout = 20 * time.Second
	}
	return &Resolver{
		sources: newSources(c.Sources), ttl: c.TTL, maxEntries: c.MaxEntries, timeout: c.Timeout,
		known: map[string]remembered{},
	}
}

// Resolve asks the registry, folder or archive what the reference is now. Errors
// are of type *Error. Failures are not remembered.
func (r *Resolver) Resolve(ctx context.Context, reference string) (Resolved, error) {
	p, err := r.sources.locate(reference)
	if err != nil {
		return Resolved{}, err
	}
	// What is on this disk is quick to read, and changes when it is imported again.
	if !p.local() {
		if known, found := r.recall(p.text, time.Now()); found {
			return known, nil
		}
	}
	answer := r.asking.DoChan(p.text, func() (any, error) {
		// Not the first asker's context: the others want the answer, too.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.timeout)
		defer cancel()
		return r.ask(ctx, p)
	})
	select {
	case <-ctx.Done():
		return Resolved{}, explain(reference, p, ctx.Err())
	case result := <-answer:
		if result.Err != nil {
			return Resolved{}, explain(reference, p, result.Err)
		}
		resolved := result.Val.(Resolved)
		if !p.local() {
			r.remember(p.text, resolved, time.Now())
		}
		return resolved, nil
	}
}

func (r *Resolver) ask(ctx context.Context, p place) (Resolved, error) {
	o, done, _, err := r.sources.open(ctx, p)
	if err != nil {
		return Resolved{}, err
	}
	defer done()
	raw, err := o.resolve(ctx)
	if err != nil {
		return Resolved{}, err
	}
	if len(raw) > maxManifest {
		return Resolved{}, tooBig("bytes in the manifest", maxManifest)
	}
	platforms, err := listPlatforms(ctx, o, raw)
	if err != nil {
		return Resolved{}, err
	}
	if len(platforms) == 0 {
		return Resolved{}, fmt.Errorf("%w: the index has no image", ErrInvalid)
	}
	return Resolved{Reference: p.text, Digest: digestOf(raw).String(), Platforms: platforms}, nil
}

func (r *Resolver) recall(reference string, now time.Time) (Resolved, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	known, found := r.known[reference]
	return known.resolved, found && now.Before(known.until)
}

func (r *Resolver) remember(reference string, resolved Resolved, now time.Time) {
	if r.ttl < 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.known) >= r.maxEntries {
		for key, known := range r.known {
			if !now.Before(known.until) {
				delete(r.known, key)
			}
		}
	}
	for key := range r.known { // all are fresh: any one goes
		if len(r.known) < r.maxEntries {
			break
		}
		delete(r.known, key)
	}
	r.known[reference] = remembered{resolved, now.Add(r.ttl)}
}
