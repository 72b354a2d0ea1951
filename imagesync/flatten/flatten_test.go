package flatten_test

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/imagesync/flatten"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

type entry = imagetest.Entry

// flattened applies layers and returns the tree as `path: what it is`.
func flattened(t *testing.T, layers ...[]entry) (map[string]string, error) {
	t.Helper()
	budget := flatten.NewBudget(flatten.Limits{})
	tree := flatten.NewTree(flatten.Limits{})
	for _, entries := range layers {
		spool, err := flatten.NewFileSpool(t.TempDir())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { spool.Close() })
		layer, err := flatten.ReadLayer(t.Context(), bytes.NewReader(imagetest.Tar(t, entries...)), spool, budget)
		if err != nil {
			return nil, err
		}
		if err := spool.Flush(); err != nil {
			t.Fatal(err)
		}
		if err := tree.Apply(layer); err != nil {
			return nil, err
		}
	}
	got := map[string]string{}
	for path, n := range tree.Walk() {
		got[path] = describe(t, n.Inode)
	}
	return got, nil
}

func describe(t *testing.T, i *flatten.Inode) string {
	switch i.Mode.Type() {
	case fs.ModeDir:
		return fmt.Sprintf("dir %o", i.Mode.Perm())
	case fs.ModeSymlink:
		return "-> " + i.Target
	case 0:
		data := make([]byte, i.Size)
		if i.Size > 0 {
			if _, err := i.Data.ReadAt(data, i.Offset); err != nil {
				t.Fatal(err)
			}
		}
		return string(data)
	}
	return i.Mode.Type().String()
}

func TestFlatten(t *testing.T) {
	t.Parallel()
	merged := []entry{{Name: "usr/"}, {Name: "usr/bin/"}, {Name: "bin", Link: "usr/bin"}, {Name: "usr/bin/a", Body: "a"}}
	for _, test := range []struct {
		name   string
		layers [][]entry
		want   map[string]string
	}{
		{"the last layer wins",
			[][]entry{{{Name: "f", Body: "1"}}, {{Name: "f", Body: "2"}}},
			map[string]string{"f": "2"}},
		{"a folder keeps what lower layers put in it, and takes the new mode",
			[][]entry{{{Name: "d/"}, {Name: "d/a", Body: "a"}}, {{Name: "d/", Mode: 0o700}, {Name: "d/b", Body: "b"}}},
			map[string]string{"d": "dir 700", "d/a": "a", "d/b": "b"}},
		{"missing parents are made",
			[][]entry{{{Name: "./x/y/f", Body: "f"}}},
			map[string]string{"x": "dir 755", "x/y": "dir 755", "x/y/f": "f"}},
		{"a file replaces a folder and all in it",
			[][]entry{{{Name: "d/a", Body: "a"}}, {{Name: "d", Body: "now a file"}}},
			map[string]string{"d": "now a file"}},
		{"a whiteout hides a file and a tree",
			[][]entry{{{Name: "d/a", Body: "a"}, {Name: "d/b/c", Body: "c"}, {Name: "e"}}, {{Name: "d/.wh.b"}, {Name: ".wh.e"}}},
			map[string]string{"d": "dir 755", "d/a": "a"}},
		{"a whiteout hides nothing of its own layer, wherever it stands",
			[][]entry{{{Name: "f", Body: "old"}, {Name: "g", Body: "old"}},
				{{Name: "f", Body: "new"}, {Name: ".wh.f"}, {Name: ".wh.g"}, {Name: "g", Body: "new"}}},
			map[string]string{"f": "new", "g": "new"}},
		{"an opaque folder hides lower layers, and not siblings of its own that sort earlier",
			[][]entry{{{Name: "d/old", Body: "old"}}, {{Name: "d/"}, {Name: "d/.a", Body: "a"}, {Name: "d/.wh..wh..opq"}, {Name: "d/z", Body: "z"}}},
			map[string]string{"d": "dir 755", "d/.a": "a", "d/z": "z"}},
		{"a whiteout and a new folder of the same name",
			[][]entry{{{Name: "d/old"}}, {{Name: ".wh.d"}, {Name: "d/"}, {Name: "d/new", Body: "n"}}},
			map[string]string{"d": "dir 755", "d/new": "n"}},
		{"whiteouts of what is not there, and files of aufs",
			[][]entry{{{Name: "x/.wh.y"}, {Name: "q/.wh..wh..opq"}, {Name: ".wh..wh.plnk/1.2", Body: "p"}, {Name: ".wh..wh.aufs"}}},
			map[string]string{}},
		{"a merged /usr stays merged",
			[][]entry{merged, {{Name: "bin/b", Body: "b"}}},
			map[string]string{"bin": "-> usr/bin", "usr": "dir 755", "usr/bin": "dir 755", "usr/bin/a": "a", "usr/bin/b": "b"}},
		{"whiteouts go through links too",
			[][]entry{merged, {{Name: "bin/.wh.a"}}},
			map[string]string{"bin": "-> usr/bin", "usr": "dir 755", "usr/bin": "dir 755"}},
		{"a folder entry replaces a link, as containerd does it",
			[][]entry{merged, {{Name: "bin/"}, {Name: "bin/b", Body: "b"}}},
			map[string]string{"bin": "dir 755", "bin/b": "b", "usr": "dir 755", "usr/bin": "dir 755", "usr/bin/a": "a"}},
		{"links are resolved inside the tree",
			[][]entry{{{Name: "up", Link: "../../../../etc"}, {Name: "abs", Link: "/etc"}, {Name: "up/a", Body: "a"}, {Name: "abs/b", Body: "b"}}},
			map[string]string{"up": "-> ../../../../etc", "abs": "-> /etc", "etc": "dir 755", "etc/a": "a", "etc/b": "b"}},
		{"hard links, within a layer and to a lower one",
			[][]entry{{{Name: "a", Body: "x"}, {Name: "b", Type: tar.TypeLink, Link: "a"}}, {{Name: "c", Type: tar.TypeLink, Link: "./b"}, {Name: ".wh.a"}}},
			nil}, // the link is to b, which stays
		{"a hard link to itself", [][]entry{{{Name: "a", Body: "x"}, {Name: "a", Type: tar.TypeLink, Link: "a"}}}, map[string]string{"a": "x"}},
		{"a hard link to a symbolic link", [][]entry{{{Name: "l", Link: "nowhere"}, {Name: "m", Type: tar.TypeLink, Link: "l"}}},
			map[string]string{"l": "-> nowhere", "m": "-> nowhere"}},
		{"odd names",
			[][]entry{{{Name: "a\nb", Body: "1"}, {Name: "\xff\xfe", Body: "2"}, {Name: "-rf", Body: "3"}, {Name: "...", Body: "4"}, {Name: "!before the dot", Body: "5"}}},
			map[string]string{"a\nb": "1", "\xff\xfe": "2", "-rf": "3", "...": "4", "!before the dot": "5"}},
		{"the root's own entry", [][]entry{{{Name: "./", Mode: 0o711}, {Name: "/f", Body: "f"}}}, map[string]string{"f": "f"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := flattened(t, test.layers...)
			if err != nil {
				t.Fatal(err)
			}
			if test.want == nil {
				test.want = map[string]string{"b": "x", "c": "x"}
			}
			if !maps.Equal(got, test.want) {
				t.Errorf("got %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestInvalidLayers(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("n", 256)
	deep := strings.Repeat("d/", 300)
	for _, test := range []struct {
		name    string
		entries []entry
		want    string // in the error's text
	}{
		{"climbing path", []entry{{Name: "a/../../etc/passwd"}}, "climbs"},
		{"long name", []entry{{Name: long}}, "file name"},
		{"deep path", []entry{{Name: deep}}, "levels of folders"},
		{"long path", []entry{{Name: strings.Repeat(strings.Repeat("n", 200)+"/", 30)}}, "bytes in a path"},
		{"hard link to nothing", []entry{{Name: "a", Type: tar.TypeLink, Link: "b"}}, "not there"},
		{"hard link to a folder", []entry{{Name: "d/"}, {Name: "a", Type: tar.TypeLink, Link: "d"}}, "folder"},
		{"hard link out of the tree", []entry{{Name: "a", Type: tar.TypeLink, Link: "../../etc/passwd"}}, "climbs"},
		{"link cycle", []entry{{Name: "a", Link: "b"}, {Name: "b", Link: "a"}, {Name: "a/f"}}, "symbolic links followed"},
		{"link to itself", []entry{{Name: "a", Link: "a/a"}, {Name: "a/f"}}, "symbolic links followed"},
		{"depth by way of links", []entry{{Name: "l", Link: strings.Repeat("d/", 200)}, {Name: "m", Link: strings.Repeat("d/", 200) + "l"}, {Name: "l/l", Link: strings.Repeat("e/", 200)}, {Name: "l/l/f"}}, "levels of folders"},
		{"below a file", []entry{{Name: "f", Body: "x"}, {Name: "f/g"}}, "below the file"},
		{"empty link", []entry{{Name: "l", Type: tar.TypeSymlink}}, "target of 0 bytes"},
		{"device 0, 0, the overlay's whiteout", []entry{{Name: "dev/w", Type: tar.TypeChar}}, "numbers 0, 0"},
		{"absurd device", []entry{{Name: "dev/w", Type: tar.TypeBlock, Major: 1 << 20}}, "numbers"},
		{"whiteout of nothing", []entry{{Name: "d/.wh."}}, "names nothing"},
		{"whiteout of the folder above", []entry{{Name: "d/.wh..."}}, "names nothing"},
		{"the root is a link", []entry{{Name: "./", Type: tar.TypeSymlink, Link: "x"}}, "root"},
		{"huge attributes", []entry{{Name: "f", Xattrs: map[string]string{"user.a": strings.Repeat("x", 70<<10)}}}, "extended attributes"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := flattened(t, test.entries)
			var limit *flatten.LimitError
			if !errors.Is(err, flatten.ErrInvalid) && !errors.As(err, &limit) {
				t.Fatalf("got %v, want an error of the layer", err)
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %q, want it to name %q", err, test.want)
			}
		})
	}
}

func TestAttributes(t *testing.T) {
	t.Parallel()
	raw := imagetest.Tar(t, entry{Name: "f", Xattrs: map[string]string{
		"user.mime": "x", "security.capability": "cap", "user.overlay.opaque": "y",
		"trusted.overlay.redirect": "/etc", "security.selinux": "label", "user.": "",
	}})
	tree := flatten.NewTree(flatten.Limits{})
	layer, err := flatten.ReadLayer(t.Context(), bytes.NewReader(raw), nil, flatten.NewBudget(flatten.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	if err := tree.Apply(layer); err != nil {
		t.Fatal(err)
	}
	kept := slices.Sorted(maps.Keys(tree.Root.Child("f").Inode.Xattrs))
	if want := []string{"security.capability", "user.mime"}; !slices.Equal(kept, want) {
		t.Errorf("kept %q, want %q: the overlay's and foreign labels must go", kept, want)
	}
}

func TestTruncatedLayer(t *testing.T) {
	t.Parallel()
	raw := imagetest.Tar(t, entry{Name: "f", Body: strings.Repeat("x", 5000)})
	spool, err := flatten.NewFileSpool(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer spool.Close()
	_, err = flatten.ReadLayer(t.Context(), bytes.NewReader(raw[:2000]), spool, flatten.NewBudget(flatten.Limits{}))
	if !errors.Is(err, flatten.ErrInvalid) {
		t.Errorf("got %v, want ErrInvalid", err)
	}
}

func TestCancelledRead(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := flatten.ReadLayer(ctx, io.LimitReader(zeros{}, 1<<40), nil, flatten.NewBudget(flatten.Limits{}))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
