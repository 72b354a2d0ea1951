package imagesync

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
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
//	    warmup:
//	      - argv: [python3, -c, "import json, re"]
//	    pool: {min: 1, max: 4}
//	    cache: use   # jobs take results of earlier ones unless they say otherwise (default bypass)
type Catalog struct {
	// Only makes the catalog the list of what is allowed.
	Only   bool
	Images map[string]CatalogEntry
}

// CatalogEntry is one image of a catalog.
type CatalogEntry struct {
	// Reference is any reference except another short name.
	Reference string
	// Description is one line for people. Optional.
	Description string
	// Warmup is what runs in a machine of the image before its jobs do. Optional,
	// at most 16 commands.
	Warmup []Warmup
	// Pool is how many machines wait ready. Nil leaves it to the executor.
	Pool *PoolSize
	// Cached says that its jobs take results of earlier ones, unless they say otherwise.
	Cached bool

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

// shortName is the form of an image's name in a catalog.
var shortName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// ParseCatalog reads a catalog, and the files that its warm-ups name. Relative
// paths are relative to dir. Unknown keys are errors.
func ParseCatalog(raw []byte, dir string) (*Catalog, error) {
	text, err := decodeCatalog(raw)
	if err != nil {
		return nil, err
	}
	c := &Catalog{Only: text.Only, Images: make(map[string]CatalogEntry, len(text.Images))}
	for short, entry := range text.Images {
		if !shortName.MatchString(short) {
			return nil, fmt.Errorf("image %q: a name has 1 to 63 of a-z, 0-9, dot, dash and underscore", short)
		}
		if c.Images[short], err = entry.check(dir); err != nil {
			return nil, fmt.Errorf("image %q: %w", short, err)
		}
	}
	if err := c.checkAgreement(); err != nil {
		return nil, err
	}
	return c, nil
}

// checkAgreement refuses two names of one reference that are prepared in two
// ways: a job has the reference alone, and could get either.
func (c *Catalog) checkAgreement() error {
	first := map[string]string{}
	for _, short := range c.Names() {
		entry := c.Images[short]
		other, found := first[entry.Reference]
		if !found {
			first[entry.Reference] = short
			continue
		}
		same := c.Images[other]
		if !reflect.DeepEqual(entry.Warmup, same.Warmup) || !reflect.DeepEqual(entry.Pool, same.Pool) || entry.Cached != same.Cached {
			return fmt.Errorf("images %q and %q are both %s: give them the same warmup, pool and cache", other, short, entry.Reference)
		}
	}
	return nil
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

// Find returns the entry with this reference in full, as a [Resolver] gives it.
func (c *Catalog) Find(reference string) (CatalogEntry, bool) {
	return c.entryOf(place{text: reference})
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

// Pooled returns the entries that want machines to wait before anybody asks,
// with Pool.Min above 0: one for each reference, in the order of their names.
func (c *Catalog) Pooled() []CatalogEntry {
	var entries []CatalogEntry
	seen := map[string]bool{}
	for _, short := range c.Names() {
		entry := c.Images[short]
		if entry.Pool != nil && entry.Pool.Min > 0 && !seen[entry.Reference] {
			seen[entry.Reference] = true
			entries = append(entries, entry)
		}
	}
	return entries
}

// covers tells whether a place is an entry's own: only then do the operator's
// credentials and permission apply.
func (c *Catalog) covers(p place) bool {
	_, found := c.entryOf(p)
	return found
}

// entryOf returns the entry whose own a place is. An entry with a tag has that
// tag, and not what else its repository holds.
func (c *Catalog) entryOf(p place) (CatalogEntry, bool) {
	if c == nil {
		return CatalogEntry{}, false
	}
	for _, entry := range c.Images {
		if entry.place.text == p.text {
			return entry, true
		}
	}
	return CatalogEntry{}, false
}
