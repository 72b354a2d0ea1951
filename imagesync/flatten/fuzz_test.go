package flatten_test

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"path"
	"strings"
	"testing"

	"github.com/program-explorer/pe/imagesync/flatten"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

// memorySpool keeps data in memory.
type memorySpool struct{ bytes.Buffer }

func (m *memorySpool) Append(r io.Reader) (int64, int64, error) {
	at := int64(m.Len())
	n, err := io.Copy(&m.Buffer, r)
	return at, n, err
}

func (m *memorySpool) ReadAt(p []byte, at int64) (int, error) {
	return bytes.NewReader(m.Bytes()).ReadAt(p, at)
}

// FuzzLayers applies two hostile layers: whatever they hold, the result is a
// tree whose names and sizes are within the limits, or a typed error.
func FuzzLayers(f *testing.F) {
	limits := flatten.Limits{Bytes: 1 << 20, Entries: 1000, Names: 64 << 10, Path: 1024, Depth: 32}
	f.Fuzz(func(t *testing.T, lower, upper []byte) {
		budget := flatten.NewBudget(limits)
		tree := flatten.NewTree(limits)
		for _, raw := range [][]byte{lower, upper} {
			layer, err := flatten.ReadLayer(t.Context(), bytes.NewReader(raw), &memorySpool{}, budget)
			if err == nil {
				err = tree.Apply(layer)
			}
			if err != nil {
				var limit *flatten.LimitError
				if !errors.Is(err, flatten.ErrInvalid) && !errors.As(err, &limit) {
					t.Fatalf("error of no kind: %v", err)
				}
				return
			}
		}
		checkTree(t, tree, limits)
	})
}

// FuzzEntries is FuzzLayers with archives that are always well formed: each
// four bytes of the script are an entry, its names of few parts, so that they meet.
func FuzzEntries(f *testing.F) {
	limits := flatten.Limits{Bytes: 1 << 20, Entries: 1000, Names: 64 << 10, Path: 64, Depth: 12}
	parts := []string{"a", "b", "c", ".", ".wh.a", ".wh.b", ".wh..wh..opq", "..", "a/b", "/", "c/a", "b/c/a"}
	f.Fuzz(func(t *testing.T, script []byte) {
		tree := flatten.NewTree(limits)
		budget := flatten.NewBudget(limits)
		part := func(b byte) string { return parts[int(b)%len(parts)] }
		for len(script) >= 4 {
			var entries []entry
			for ; len(script) >= 4 && len(entries) < 8; script = script[4:] {
				e := entry{Name: part(script[1]) + "/" + part(script[2])}
				switch script[0] % 5 {
				case 0:
					e.Type = tar.TypeDir
				case 1:
					e.Type, e.Link = tar.TypeSymlink, part(script[3])+"/"+part(script[3]>>4)
				case 2:
					e.Type, e.Link = tar.TypeLink, part(script[3])+"/"+part(script[3]>>4)
				default:
					e.Type, e.Body = tar.TypeReg, "x"
				}
				if e.Type != tar.TypeDir {
					e.Name = strings.TrimRight(e.Name, "/")
				}
				entries = append(entries, e)
			}
			layer, err := flatten.ReadLayer(t.Context(), bytes.NewReader(imagetest.Tar(t, entries...)), &memorySpool{}, budget)
			if err == nil {
				err = tree.Apply(layer)
			}
			if err != nil {
				var limit *flatten.LimitError
				if !errors.Is(err, flatten.ErrInvalid) && !errors.As(err, &limit) {
					t.Fatalf("error of no kind: %v", err)
				}
				return
			}
		}
		checkTree(t, tree, limits)
	})
}

func checkTree(t *testing.T, tree *flatten.Tree, limits flatten.Limits) {
	t.Helper()
	for p, n := range tree.Walk() {
		if len(p) > limits.Path || strings.Count(p, "/") >= limits.Depth || path.Clean("/"+p) != "/"+p ||
			n.Name == "" || n.Name == "." || n.Name == ".." || strings.ContainsAny(n.Name, "/\x00") || len(n.Name) > 255 {
			t.Fatalf("path %q", p)
		}
		if n.Inode == nil || !n.Inode.Mode.IsDir() && len(n.Children()) > 0 {
			t.Fatalf("node %q", p)
		}
	}
	if _, err := tree.Size(); err != nil {
		var limit *flatten.LimitError
		if !errors.As(err, &limit) {
			t.Fatal(err)
		}
	}
}
