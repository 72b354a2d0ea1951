package imagesync

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/imagesync/imagetest"
)

func FuzzCatalog(f *testing.F) {
	dir := f.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "deps.tar"), imagetest.Tar(f, imagetest.Entry{Name: "f", Body: "b"}), 0o600); err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		c, err := ParseCatalog(raw, dir)
		if err != nil {
			return
		}
		for _, short := range c.Names() {
			entry, found := c.Lookup(short)
			if !found || !c.Allows(short) || !c.Allows(entry.Reference) || entry.Reference == "" {
				t.Errorf("entry %q: %+v", short, entry)
			}
			if p := entry.Pool; p != nil && (p.Min < 0 || p.Min > p.Max || p.Max > 64) {
				t.Errorf("entry %q has the pool %+v", short, p)
			}
			checkWarmup(t, entry)
			if own, _ := c.entryOf(entry.place); !reflect.DeepEqual(own.Warmup, entry.Warmup) || !reflect.DeepEqual(own.Pool, entry.Pool) {
				t.Errorf("entry %q is %+v, its reference's %+v", short, entry, own)
			}
		}
	})
}

func checkWarmup(t *testing.T, entry CatalogEntry) {
	if len(entry.Warmup) > 16 {
		t.Errorf("%s has %d commands", entry.Reference, len(entry.Warmup))
	}
	for _, w := range entry.Warmup {
		if len(w.Argv) == 0 || w.Argv[0] == "" || w.Timeout < time.Millisecond || w.Timeout > 10*time.Minute ||
			strings.Contains(strings.Join(slices.Concat(w.Argv, w.Env), ""), "\x00") || !slices.IsSorted(w.Env) {
			t.Errorf("%s has the command %+v", entry.Reference, w)
		}
		if f := w.Files; f != nil && (!filepath.IsAbs(f.Path) || len(f.SHA256) != 64 || f.Size < 1 || f.Size > 1<<30) {
			t.Errorf("%s has the files %+v", entry.Reference, f)
		}
	}
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
