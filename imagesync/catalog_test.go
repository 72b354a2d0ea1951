package imagesync_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/imagesync"
)

func TestCatalog(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	path := filepath.Join(dir, "catalog.yaml")
	text := `
only: true
images:
  gcc:
    reference: gcc:14
    description: The GNU C compiler
  python: {reference: "oci:images/python"}
`
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	c, err := imagesync.LoadCatalog(path)
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"gcc", "python"}; !slices.Equal(c.Names(), want) {
		t.Errorf("names %q", c.Names())
	}
	if e, _ := c.Lookup("gcc"); e.Reference != "index.docker.io/library/gcc:14" || e.Description != "The GNU C compiler" {
		t.Errorf("gcc is %+v", e)
	}
	if e, _ := c.Lookup("python"); e.Reference != "oci:"+dir+"/images/python" {
		t.Errorf("python is %+v", e)
	}
	for reference, want := range map[string]bool{
		"gcc": true, "gcc:14": true, "docker.io/library/gcc:14": true, "python": true,
		"gcc:13": false, "busybox": false, "oci:/etc": false, "": false, "oci:" + dir + "/images/python": true,
	} {
		if c.Allows(reference) != want {
			t.Errorf("Allows(%q) is %v", reference, !want)
		}
	}
	var none *imagesync.Catalog
	if _, found := none.Lookup("gcc"); found || !none.Allows("gcc") || none.Names() != nil {
		t.Error("no catalog must be empty and allow all")
	}
}

func TestBadCatalogs(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"onyl: true":                                         "onyl",
		"images: {gcc: {ref: gcc}}":                          "ref",
		"images: {GCC: {reference: gcc}}":                    "GCC",
		"images: {gcc: {reference: 'a b'}}":                  "could not parse",
		"images: {gcc: {reference: 'oci:'}}":                 "absolute",
		"images: {gcc: {}}":                                  "could not parse",
		"images: {gcc: {reference: a}, gcc: {reference: b}}": "already defined",
		"only: true\n---\nonly: false":                       "more than one document",
		"images: [gcc]":                                      "cannot unmarshal",
		strings.Repeat("#", 2<<20):                           "larger",
	} {
		if _, err := imagesync.ParseCatalog([]byte(text), "/"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.40q: %v, want it to name %q", text, err, want)
		}
	}
	if c, err := imagesync.ParseCatalog(nil, "/"); err != nil || c.Only {
		t.Errorf("an empty file: %+v, %v", c, err)
	}
}
