package imagesync

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"

	"github.com/google/go-containerregistry/pkg/authn"
)

// Sources says where images may come from. A Resolver and a Cache have the same.
type Sources struct {
	// Catalog is the operator's list of images. Optional.
	Catalog *Catalog
	// ImportsDir is the Dir of the Cache whose imported images can be named.
	// NewResolver uses none when it is empty; Open sets it.
	ImportsDir string
	// AllowPaths lets users name layouts and archives on this machine. Entries of
	// the catalog always may. Default false: a remote user could probe the disk.
	AllowPaths bool
	// AllowLoopback lets references name registries on this machine, with plain
	// HTTP. Default false.
	AllowLoopback bool
	// DockerConfig is the folder of the docker config.json with credentials.
	// Default: where docker and podman look. Credentials are used for entries of
	// the catalog only.
	DockerConfig string
}

// sources opens origins by what the user wrote.
type sources struct {
	Sources
	transports *transports
}

func newSources(s Sources) *sources {
	return &sources{Sources: s, transports: newTransports(s.AllowLoopback)}
}

// locate finds what a user's reference means: a name of the catalog, an imported
// name, or a registry, in this order.
func (s *sources) locate(reference string) (place, error) {
	if entry, found := s.Catalog.Lookup(reference); found {
		return entry.place, nil
	}
	p, err := s.imported(reference)
	if err != nil || p.layout == "" {
		p, err = parsePlace(reference)
	}
	if err != nil {
		return p, err
	}
	if s.Catalog != nil && s.Catalog.Only && !s.Catalog.covers(p) {
		return p, fail(ErrRefused, reference, "only the catalog's images are allowed: %s", list(s.Catalog.Names()))
	}
	if p.layout != "" && p.layout == s.importsLayout() {
		return p, nil
	}
	if p.local() && !s.AllowPaths && !s.Catalog.covers(p) {
		return p, fail(ErrRefused, reference, "paths on this machine are not allowed")
	}
	return p, nil
}

func (s *sources) importsLayout() string {
	if s.ImportsDir == "" {
		return ""
	}
	return filepath.Join(s.ImportsDir, importsName)
}

// imported returns the place of an imported name, or none.
func (s *sources) imported(reference string) (place, error) {
	layout := s.importsLayout()
	if layout == "" || checkImportName(reference) != nil {
		return place{}, nil
	}
	index, err := (&layoutWriter{dir: layout}).readIndex()
	if err != nil {
		return place{}, err
	}
	if _, found := byRefName(index, reference); !found {
		return place{}, nil
	}
	return place{text: reference, layout: layout, tag: reference}, nil
}

// entitled tells whether the operator's credentials apply.
func (s *sources) entitled(p place) bool { return s.Catalog.covers(p) }

// open returns the origin of a place, and closes it with the second result.
// authenticated tells whether credentials were used to get there.
func (s *sources) open(ctx context.Context, p place) (o origin, done func(), authenticated bool, err error) {
	closing := func(c io.Closer) func() { return func() { c.Close() } }
	switch {
	case p.layout != "":
		l, err := openLayoutOrigin(p.layout, p.tag)
		if err != nil {
			return nil, nil, false, err
		}
		return l, closing(l), false, nil
	case p.archive != "":
		a, err := openArchiveOrigin(p.archive, p.tag)
		if err != nil {
			return nil, nil, false, err
		}
		return a, closing(a), false, nil
	}
	var keys authn.Keychain = anonymous{}
	if s.entitled(p) {
		if keys, err = keychain(s.DockerConfig); err != nil {
			return nil, nil, false, err
		}
		auth, err := authn.Resolve(ctx, keys, p.registry.Context())
		if err != nil {
			return nil, nil, false, err
		}
		authenticated = auth != authn.Anonymous
	}
	r, err := newRegistryOrigin(p.registry, s.transports, keys)
	if err != nil {
		return nil, nil, false, err
	}
	return r, func() {}, authenticated, nil
}

// explain classifies an error at a place. What is broken on a local disk is no
// registry's fault and no retry mends it.
func explain(reference string, p place, err error) error {
	err = classify(reference, err)
	var e *Error
	if !errors.As(err, &e) {
		return err
	}
	var wrong *wrongPlatform
	if errors.As(e.Err, &wrong) {
		e.Platforms = wrong.have
	}
	if p.local() && e.Kind == ErrUnreachable && !errors.Is(err, os.ErrDeadlineExceeded) {
		e.Kind = ErrInvalid
	}
	return err
}

func list(names []string) string {
	const most = 20
	text := ""
	for i, n := range names {
		if i == most {
			return text + ", …"
		}
		if i > 0 {
			text += ", "
		}
		text += n
	}
	if text == "" {
		return "none"
	}
	return text
}
