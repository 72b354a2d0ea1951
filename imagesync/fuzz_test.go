package imagesync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func FuzzCatalog(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCatalog(raw, "/catalog")
		if err != nil {
			return
		}
		for _, short := range c.Names() {
			entry, found := c.Lookup(short)
			if !found || !c.Allows(short) || !c.Allows(entry.Reference) || entry.Reference == "" {
				t.Errorf("entry %q: %+v", short, entry)
			}
		}
	})
}

func FuzzReference(f *testing.F) {
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parsePlace(text)
		if err != nil {
			var typed *Error
			if !errors.As(err, &typed) {
				t.Errorf("%q: error of no kind: %v", text, err)
			}
			return
		}
		again, err := parsePlace(p.text)
		if err != nil || again.text != p.text {
			t.Errorf("%q is %q in full, which is %q, %v", text, p.text, again.text, err)
		}
		for _, path := range []string{p.layout, p.archive} {
			if path != "" && (!filepath.IsAbs(path) || strings.Contains(path, "/../")) {
				t.Errorf("%q leads to %q", text, path)
			}
		}
	})
}

// FuzzArchive: docker archives are indexed and described without a crash, and
// every error has a kind.
func FuzzArchive(f *testing.F) {
	f.Fuzz(func(t *testing.T, raw []byte) {
		path := filepath.Join(t.TempDir(), "a.tar")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		a, err := openArchiveOrigin(path, "")
		if err != nil {
			if kindOf(err) == nil {
				t.Errorf("error of no kind: %v", err)
			}
			return
		}
		defer a.Close()
		if _, err := a.resolve(context.Background()); err != nil && kindOf(err) == nil {
			t.Errorf("error of no kind: %v", err)
		}
	})
}
