package imagesync

import (
	"fmt"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
)

const (
	layoutScheme  = "oci:"
	archiveScheme = "docker-archive:"
	maxReference  = 4096
)

// place is where a reference leads: exactly one of its three kinds is set.
type place struct {
	// text is the reference in full, as another process would need it.
	text string
	// registry is an image in a registry.
	registry name.Reference
	// layout and archive are local paths; tag selects one of several images there.
	layout, archive, tag string
}

func (p place) local() bool { return p.registry == nil }

// parsePlace reads a reference that is no catalog name and no imported name.
func parsePlace(text string) (place, error) {
	if len(text) > maxReference {
		return place{}, fail(ErrInvalid, text[:64]+"…", "reference of %d bytes", len(text))
	}
	p := place{text: text}
	if rest, found := strings.CutPrefix(text, layoutScheme); found {
		p.layout, p.tag = splitTag(rest)
		return p, checkPath(text, p.layout)
	}
	if rest, found := strings.CutPrefix(text, archiveScheme); found {
		p.archive, p.tag = splitTag(rest)
		return p, checkPath(text, p.archive)
	}
	ref, err := name.ParseReference(text, name.WeakValidation)
	if err != nil {
		return place{}, fail(ErrInvalid, text, "%w", err)
	}
	p.registry, p.text = ref, ref.Name()
	return p, nil
}

// splitTag splits `/path:name` at the first colon, as other tools do: a path
// with a colon cannot be named.
func splitTag(s string) (path, tag string) {
	path, tag, _ = strings.Cut(s, ":")
	return path, tag
}

func checkPath(text, path string) error {
	if !filepath.IsAbs(path) || filepath.Clean(path) != strings.TrimSuffix(path, "/") || strings.ContainsRune(path, 0) {
		return fail(ErrInvalid, text, "path %q is not absolute and clean", path)
	}
	return nil
}

func parseDigest(text string) (v1.Hash, error) {
	h, err := v1.NewHash(text)
	if err != nil {
		return h, err
	}
	if h.Algorithm != "sha256" || len(h.Hex) != 64 {
		return h, fmt.Errorf("digest %q is no sha256", text)
	}
	return h, nil
}
