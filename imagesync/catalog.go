package imagesync

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// maxCatalog caps a catalog file, in bytes.
const maxCatalog = 1 << 20

// Catalog is the operator's list of images with short names. It may be the
// list of all images that are allowed. A nil Catalog is empty and allows all.
//
//	only: true               # no other image may be used (default false)
//	images:
//	  gcc:
//	    reference: ghcr.io/example/gcc:14
//	    description: The GNU C compiler
//	  python:
//	    reference: oci:images/python   # relative to the catalog's folder
type Catalog struct {
	// Only makes the catalog the list of what is allowed.
	Only   bool                    `yaml:"only"`
	Images map[string]CatalogEntry `yaml:"images"`
}

// CatalogEntry is one image of a catalog.
type CatalogEntry struct {
	// Reference is any reference except another short name.
	Reference string `yaml:"reference"`
	// Description is one line for people. Optional.
	Description string `yaml:"description,omitempty"`

	place place
}

// LoadCatalog reads a catalog file.
func LoadCatalog(path string) (*Catalog, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("load catalog: %w", err)
	}
	defer file.Close()
	raw, err := io.ReadAll(io.LimitReader(file, maxCatalog+1))
	if err != nil {
		return nil, fmt.Errorf("load catalog %s: %w", path, err)
	}
	dir, err := filepath.Abs(filepath.Dir(path))
	if err != nil {
		return nil, fmt.Errorf("load catalog %s: %w", path, err)
	}
	c, err := ParseCatalog(raw, dir)
	if err != nil {
		return nil, fmt.Errorf("load catalog %s: %w", path, err)
	}
	return c, nil
}

// ParseCatalog reads a catalog. Relative paths of layouts and archives are
// relative to dir. Unknown keys are errors.
func ParseCatalog(raw []byte, dir string) (*Catalog, error) {
	if len(raw) > maxCatalog {
		return nil, fmt.Errorf("larger than %d bytes", maxCatalog)
	}
	c := &Catalog{}
	decoder := yaml.NewDecoder(bytes.NewReader(raw))
	decoder.KnownFields(true)
	if err := decoder.Decode(c); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if err := decoder.Decode(new(any)); !errors.Is(err, io.EOF) {
		return nil, errors.New("more than one document")
	}
	valid := regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)
	for short, entry := range c.Images {
		if !valid.MatchString(short) {
			return nil, fmt.Errorf("image %q: a name has 1 to 63 of a-z, 0-9, dot, dash and underscore", short)
		}
		var err error
		if entry.place, err = parsePlace(absolute(entry.Reference, dir)); err != nil {
			return nil, fmt.Errorf("image %q: %w", short, err)
		}
		entry.Reference = entry.place.text
		c.Images[short] = entry
	}
	return c, nil
}

func absolute(reference, dir string) string {
	for _, scheme := range []string{layoutScheme, archiveScheme} {
		if path, found := strings.CutPrefix(reference, scheme); found && path != "" && !filepath.IsAbs(path) {
			return scheme + filepath.Join(dir, path)
		}
	}
	return reference
}

// Names returns the short names, sorted.
func (c *Catalog) Names() []string {
	if c == nil {
		return nil
	}
	names := make([]string, 0, len(c.Images))
	for short := range c.Images {
		names = append(names, short)
	}
	slices.Sort(names)
	return names
}

// Lookup returns the entry of a short name, its reference in full.
func (c *Catalog) Lookup(short string) (CatalogEntry, bool) {
	if c == nil {
		return CatalogEntry{}, false
	}
	entry, found := c.Images[short]
	return entry, found
}

// Allows tells whether a reference, or a short name, may be used at all.
func (c *Catalog) Allows(reference string) bool {
	if c == nil || !c.Only {
		return true
	}
	if _, found := c.Lookup(reference); found {
		return true
	}
	p, err := parsePlace(reference)
	return err == nil && c.covers(p)
}

// covers tells whether a place is an entry's own: only then do the operator's
// credentials and permission apply. An entry with a tag covers that tag, and
// not what else its repository holds.
func (c *Catalog) covers(p place) bool {
	if c == nil {
		return false
	}
	for _, entry := range c.Images {
		if entry.place.text == p.text {
			return true
		}
	}
	return false
}
