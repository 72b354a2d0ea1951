package imagesync_test

import (
	"fmt"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

// twoPrograms is a gateway and an executor that read the same catalog, each for itself.
type twoPrograms struct {
	gateway *imagesync.Resolver
	cache   *imagesync.Cache
	catalog *imagesync.Catalog
}

// start lets users name whatever they like, as the catalog's entries can.
func start(t *testing.T, text, dir string) twoPrograms {
	t.Helper()
	sources, again := local, local
	sources.Catalog, again.Catalog = parseCatalog(t, text, dir), parseCatalog(t, text, dir)
	cache := openCache(t, func(c *imagesync.CacheConfig) { c.Sources = again })
	return twoPrograms{imagesync.NewResolver(imagesync.ResolverConfig{Sources: sources}), cache, again.Catalog}
}

// get goes the way of a job's image: by its reference in full and its digest.
func (p twoPrograms) get(t *testing.T, reference string) *imagesync.Image {
	t.Helper()
	resolved, err := p.gateway.Resolve(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	image, err := p.cache.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(image.Release)
	return image
}

// TestImageHasItsWarmup: the image of an entry comes with the entry's warm-up,
// however it was named, and nothing else does, of the same digest or not.
func TestImageHasItsWarmup(t *testing.T) {
	t.Parallel()
	dir, _ := catalogDir(t)
	host := imagetest.Registry(t, nil)
	index := simpleIndex(t, "tagged")
	digest := imagetest.Push(t, host+"/lib/tool:1", index)
	imagetest.Push(t, host+"/lib/tool:2", index)
	imagetest.Push(t, host+"/lib/tool:latest", index)
	imagetest.Layout(t, filepath.Join(dir, "images", "lay"), simpleIndex(t, "layout"))
	lay := "oci:" + filepath.Join(dir, "images", "lay")
	p := start(t, fmt.Sprintf(`
images:
  tool: {reference: "%[1]s/lib/tool:1", warmup: [{argv: [tool], files: deps.tar}], pool: {min: 1, max: 2}}
  newest: {reference: "%[1]s/lib/tool", warmup: [{argv: [newest]}]}
  fixed: {reference: "%[1]s/lib/tool@%[2]s", warmup: [{argv: [fixed]}]}
  lay: {reference: "oci:images/lay", warmup: [{argv: [lay]}]}
  again: {reference: "%[3]s", warmup: [{argv: [lay]}]}
  off: {reference: "%[3]s:named", pool: {max: 0}}
`, host, digest, lay), dir)
	if _, err := p.cache.Import(t.Context(), lay, "mine"); err != nil {
		t.Fatal(err)
	}
	for reference, want := range map[string]string{
		"tool": "tool", host + "/lib/tool:1": "tool",
		"newest": "newest", host + "/lib/tool": "newest", host + "/lib/tool:latest": "newest",
		"fixed": "fixed", host + "/lib/tool@" + digest: "fixed",
		"lay": "lay", "again": "lay", lay: "lay",
		// The same content by names that the catalog does not have.
		host + "/lib/tool:2": "",
	} {
		image := p.get(t, reference)
		have := ""
		if len(image.Warmup) > 0 {
			have = strings.Join(image.Warmup[0].Argv, " ")
		}
		if have != want {
			t.Errorf("%s has the warm-up %q, want %q", reference, have, want)
		}
		if pool := image.Pool; (pool != nil) != (want == "tool") || pool != nil && *pool != (imagesync.PoolSize{Min: 1, Max: 2}) {
			t.Errorf("%s has the pool %+v", reference, pool)
		}
		entry, _ := p.catalog.Lookup(want)
		if !reflect.DeepEqual(image.Warmup, entry.Warmup) {
			t.Errorf("%s has %+v, its entry %+v", reference, image.Warmup, entry.Warmup)
		}
	}
	resolved := resolve(t, lay)
	mine, err := p.cache.Get(t.Context(), "mine", resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	defer mine.Release()
	if mine.Warmup != nil || mine.Pool != nil {
		t.Errorf("the import has %+v, %+v", mine.Warmup, mine.Pool)
	}
}

// TestPooled: an executor finds what it has to make ready, once each, and gets it.
func TestPooled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		imagetest.Layout(t, filepath.Join(dir, name), simpleIndex(t, name))
	}
	p := start(t, `
images:
  z: {reference: "oci:a", description: z, pool: {min: 2, max: 2}}
  b: {reference: "oci:b", pool: {min: 1, max: 3}}
  a: {reference: "oci:a", description: a, pool: {min: 2, max: 2}}
  idle: {reference: idle, pool: {min: 0, max: 3}}
  plain: {reference: plain}
`, dir)
	var have []string
	for _, entry := range p.catalog.Pooled() {
		image := p.get(t, entry.Reference)
		if image.Pool == nil || *image.Pool != *entry.Pool {
			t.Errorf("%s has the pool %+v, its entry %+v", entry.Reference, image.Pool, entry.Pool)
		}
		have = append(have, entry.Reference)
	}
	if want := []string{"oci:" + dir + "/a", "oci:" + dir + "/b"}; !reflect.DeepEqual(have, want) {
		t.Errorf("pooled are %q, want %q", have, want)
	}
	var none *imagesync.Catalog
	if none.Pooled() != nil {
		t.Error("no catalog has pooled images")
	}
}
