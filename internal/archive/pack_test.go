package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// makeTree makes files ("name" → content), folders ("name/") and links ("name" → "-> target").
func makeTree(t testing.TB, files map[string]string) *os.Root {
	t.Helper()
	dir := t.TempDir()
	names := []string{}
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		var err error
		if target, ok := strings.CutPrefix(files[name], "-> "); ok {
			err = os.Symlink(target, path)
		} else if strings.HasSuffix(name, "/") {
			err = os.MkdirAll(path, 0o755)
		} else {
			err = os.WriteFile(path, []byte(files[name]), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return openRoot(t, dir)
}

func openRoot(t testing.TB, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func pack(t testing.TB, root *os.Root, patterns []string, o PackOptions) ([]byte, Stats) {
	t.Helper()
	var b bytes.Buffer
	stats, err := Pack(&b, root, patterns, o)
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), stats
}

// namesIn lists a tar: folders with their slash, links with their target.
func namesIn(t testing.TB, b []byte) []string {
	t.Helper()
	names := []string{}
	for r := tar.NewReader(bytes.NewReader(b)); ; {
		h, err := r.Next()
		if err == io.EOF {
			return names
		}
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil {
			t.Fatal(err)
		}
		name := h.Name
		if h.Linkname != "" {
			name += fmt.Sprintf(" %c> %s", h.Typeflag, h.Linkname)
		}
		names = append(names, name)
	}
}

func TestPackPatterns(t *testing.T) {
	t.Parallel()
	root := makeTree(t, map[string]string{
		"a.o": "", "b.c": "", "lib/x.o": "", "lib/deep/y.o": "", "lib/deep/z.h": "", "empty/": "", "odd\nname": "", "link": "-> lib",
	})
	for _, c := range []struct {
		patterns []string
		want     []string
	}{
		{nil, []string{"a.o", "b.c", "empty/", "lib/", "lib/deep/", "lib/deep/y.o", "lib/deep/z.h", "lib/x.o", "link 2> lib", "odd\nname"}},
		{[]string{"."}, []string{"a.o", "b.c", "empty/", "lib/", "lib/deep/", "lib/deep/y.o", "lib/deep/z.h", "lib/x.o", "link 2> lib", "odd\nname"}},
		{[]string{"*.o"}, []string{"a.o"}},
		{[]string{"**/*.o"}, []string{"a.o", "lib/", "lib/deep/", "lib/deep/y.o", "lib/x.o"}},
		{[]string{"lib/deep"}, []string{"lib/", "lib/deep/", "lib/deep/y.o", "lib/deep/z.h"}},
		{[]string{"lib/**"}, []string{"lib/", "lib/deep/", "lib/deep/y.o", "lib/deep/z.h", "lib/x.o"}},
		{[]string{"lib/**/*.h", "b.?"}, []string{"b.c", "lib/", "lib/deep/", "lib/deep/z.h"}},
		{[]string{"**/deep/**/z*"}, []string{"lib/", "lib/deep/", "lib/deep/z.h"}},
		{[]string{"[ab].[oc]", "./empty"}, []string{"a.o", "b.c", "empty/"}},
		{[]string{"link/x.o", "none/*", "empty/*"}, []string{}},
	} {
		b, _ := pack(t, root, c.patterns, PackOptions{})
		if got := namesIn(t, b); !slices.Equal(got, c.want) {
			t.Errorf("%q: got %q, want %q", c.patterns, got, c.want)
		}
	}
	for _, p := range []string{"", "/abs", "../up", "a/../b", "[", "a/[", strings.Repeat("**/a/", 9), strings.Repeat("x", 1025)} {
		if _, err := Pack(io.Discard, root, []string{p}, PackOptions{}); err == nil {
			t.Errorf("pattern %.20q was accepted", p)
		}
	}
}

func TestPackIsDeterministic(t *testing.T) {
	t.Parallel()
	files := map[string]string{"b": "two", "a/x": "one", "a/y": "-> x", strings.Repeat("long/", 40) + "name": "", "bad\xff": "utf"}
	o := PackOptions{Owner: &Owner{1000, 1001}, Latest: time.Unix(1_000_000_000, 999)}
	first, _ := pack(t, makeTree(t, files), nil, o)
	second, _ := pack(t, makeTree(t, files), nil, o)
	if !bytes.Equal(first, second) {
		t.Error("two equal trees gave different archives")
	}
	h, err := tar.NewReader(bytes.NewReader(first)).Next()
	if err != nil || h.Uid != 1000 || h.Gid != 1001 || !h.ModTime.Equal(time.Unix(1_000_000_000, 0)) || h.Uname != "" {
		t.Errorf("header %+v, %v", h, err)
	}
}

func TestPackSkipsSpecialFiles(t *testing.T) {
	t.Parallel()
	root := makeTree(t, map[string]string{"file": "x"})
	makeFIFO(t, filepath.Join(root.Name(), "fifo"))
	l, err := net.Listen("unix", filepath.Join(root.Name(), "sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	b, stats := pack(t, root, nil, PackOptions{})
	if got := namesIn(t, b); !slices.Equal(got, []string{"file"}) {
		t.Errorf("got %q", got)
	}
	want := []Remark{{"fifo", "fifo"}, {"sock", "socket"}}
	if !slices.Equal(stats.Skipped, want) || stats.SkippedTotal != 2 {
		t.Errorf("skipped %v", stats.Skipped)
	}
}

func TestPackHardlinks(t *testing.T) {
	t.Parallel()
	root := makeTree(t, map[string]string{"a": "shared", "d/": ""})
	if err := root.Link("a", "d/b"); err != nil {
		t.Fatal(err)
	}
	b, stats := pack(t, root, nil, PackOptions{})
	if got := namesIn(t, b); !slices.Equal(got, []string{"a", "d/", "d/b 1> a"}) || stats.Bytes != 6 {
		t.Errorf("got %q, %d bytes", got, stats.Bytes)
	}
	// Where the first name is not selected, the second brings the content.
	b, stats = pack(t, root, []string{"d"}, PackOptions{})
	if got := namesIn(t, b); !slices.Equal(got, []string{"d/", "d/b"}) || stats.Bytes != 6 {
		t.Errorf("got %q, %d bytes", got, stats.Bytes)
	}
}

func TestPackLimits(t *testing.T) {
	t.Parallel()
	root := makeTree(t, map[string]string{"a": "12345", "b": "12345", "c/d/e": "1"})
	for _, c := range []struct {
		l    Limits
		what string
	}{
		{Limits{MaxBytes: 11}, ""},
		{Limits{MaxBytes: 10}, LimitBytes},
		{Limits{MaxEntries: 5}, ""},
		{Limits{MaxEntries: 4}, LimitEntries},
	} {
		_, err := Pack(io.Discard, root, nil, PackOptions{Limits: c.l})
		var limit *LimitError
		if c.what == "" && err != nil || c.what != "" && (!errors.As(err, &limit) || limit.What != c.what) {
			t.Errorf("%+v: %v, want limit %q", c.l, err, c.what)
		}
	}
	_, stats := pack(t, root, nil, PackOptions{Limits: Limits{MaxDepth: 2}})
	if !slices.Equal(stats.Skipped, []Remark{{"c/d/e", "path is too deep"}}) {
		t.Errorf("skipped %v", stats.Skipped)
	}
	_, stats = pack(t, root, nil, PackOptions{Limits: Limits{MaxPath: 4}})
	if !slices.Equal(stats.Skipped, []Remark{{"c/d/e...", "path is too long"}}) {
		t.Errorf("skipped %v", stats.Skipped)
	}
}

// A sparse file of a terabyte must neither be read nor written.
func TestPackSparseBomb(t *testing.T) {
	t.Parallel()
	root := makeTree(t, map[string]string{"sparse": ""})
	if err := os.Truncate(filepath.Join(root.Name(), "sparse"), 1<<40); err != nil {
		t.Fatal(err)
	}
	_, err := Pack(io.Discard, root, nil, PackOptions{})
	var limit *LimitError
	if !errors.As(err, &limit) || limit.What != LimitBytes {
		t.Errorf("got %v", err)
	}
}

// hookWriter runs a function at the first write: Pack buffers, so a file larger
// than its buffer is caught half way.
type hookWriter struct {
	io.Writer
	hook func()
}

func (w *hookWriter) Write(p []byte) (int, error) {
	if w.hook != nil {
		w.hook()
		w.hook = nil
	}
	return w.Writer.Write(p)
}

func TestPackFileThatChanges(t *testing.T) {
	t.Parallel()
	const size = 4 << 20
	for name, to := range map[string]int64{"shrinks": 1 << 20, "grows": 8 << 20} {
		root := makeTree(t, map[string]string{"a": strings.Repeat("x", size), "b": "after"})
		var b bytes.Buffer
		w := &hookWriter{&b, func() {
			if err := os.Truncate(filepath.Join(root.Name(), "a"), to); err != nil {
				t.Error(err)
			}
		}}
		stats, err := Pack(w, root, nil, PackOptions{})
		if err != nil || stats.ChangedTotal != 1 || stats.Changed[0].Path != "a" {
			t.Errorf("%s: %+v, %v", name, stats, err)
		}
		r := tar.NewReader(&b)
		if h, err := r.Next(); err != nil || h.Size != size {
			t.Errorf("%s: %+v, %v", name, h, err)
		}
		if n, err := io.Copy(io.Discard, r); n != size || err != nil {
			t.Errorf("%s: %d bytes, %v", name, n, err)
		}
		if h, err := r.Next(); err != nil || h.Name != "b" {
			t.Errorf("%s: the next entry is %+v, %v", name, h, err)
		}
	}
}
