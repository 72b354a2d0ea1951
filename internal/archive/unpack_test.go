package archive

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func reg(name, content string) tar.Header {
	return tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Size: int64(len(content)), Linkname: content}
}

func sym(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeSymlink, Name: name, Linkname: target, Mode: 0o777}
}

func hard(name, target string) tar.Header {
	return tar.Header{Typeflag: tar.TypeLink, Name: name, Linkname: target, Mode: 0o644}
}

func folderEntry(name string, mode int64) tar.Header {
	return tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode}
}

// makeTar writes the entries; the content of a file stands in its Linkname.
func makeTar(t testing.TB, entries ...tar.Header) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, h := range entries {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestPackUnpack(t *testing.T) {
	t.Parallel()
	files := map[string]string{
		"a": "one", "d/b": strings.Repeat("x", 1<<20), "d/l": "-> ../a", "empty/": "", "new\nline": "n", "bad\xff\xfe": "utf", ".hidden": "",
		strings.Repeat("deep/", 50) + "f": "deep",
	}
	b, packed := pack(t, makeTree(t, files), nil, PackOptions{})
	root := openRoot(t, t.TempDir())
	stats, err := Unpack(bytes.NewReader(b), root, UnpackOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if stats.Entries() != packed.Entries() || stats.Bytes != packed.Bytes {
		t.Errorf("packed %+v, unpacked %+v", packed, stats)
	}
	again, _ := pack(t, root, nil, PackOptions{})
	if !bytes.Equal(again, b) {
		t.Errorf("packed again: %d other bytes, %q", len(again), namesIn(t, again))
	}
}

func TestUnpackRefuses(t *testing.T) {
	t.Parallel()
	for name, entries := range map[string][]tar.Header{
		"absolute name":                 {reg("/etc/passwd", "x")},
		"climbing name":                 {reg("../x", "x")},
		"climbing in the middle":        {reg("a/../../x", "x")},
		"climbing but staying":          {reg("a/../x", "x")},
		"absolute link":                 {sym("l", "/etc")},
		"link that leaves":              {sym("l", "../x")},
		"deep link that leaves":         {sym("a/l", "../../x")},
		"link that climbs late":         {sym("d/up", ".."), sym("l", "d/up/../x")},
		"write through a link":          {sym("l", "."), reg("l/x", "x")},
		"write through a link to up":    {folderEntry("d", 0o755), sym("d/l", ".."), reg("d/l/x", "x")},
		"folder over a link":            {folderEntry("d", 0o755), sym("l", "d"), folderEntry("l", 0o755)},
		"file in place of a folder":     {folderEntry("d", 0o755), reg("d", "x")},
		"link in place of a folder":     {reg("d/x", "x"), sym("d", ".")},
		"below a file":                  {reg("f", "x"), reg("f/x", "x")},
		"hard link to what was there":   {hard("l", "existing")},
		"hard link to nothing":          {hard("l", "none")},
		"hard link that leaves":         {hard("l", "../x")},
		"hard link, absolute":           {hard("l", "/etc/passwd")},
		"hard link to a symlink":        {sym("s", "existing"), hard("l", "s")},
		"hard link to itself":           {reg("f", "x"), hard("f", "f")},
		"character device":              {{Typeflag: tar.TypeChar, Name: "null", Devmajor: 1, Devminor: 3}},
		"block device":                  {{Typeflag: tar.TypeBlock, Name: "disk", Devmajor: 8}},
		"fifo":                          {{Typeflag: tar.TypeFifo, Name: "fifo"}},
		"root that is no folder":        {sym(".", "x")},
		"link without target":           {{Typeflag: tar.TypeSymlink, Name: "l"}},
		"through a link that was there": {reg("old/x", "x")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			outside := t.TempDir()
			inside := filepath.Join(outside, "root")
			for _, err := range []error{os.Mkdir(inside, 0o755), os.WriteFile(filepath.Join(inside, "existing"), []byte("mine"), 0o600), os.Symlink(".", filepath.Join(inside, "old"))} {
				if err != nil {
					t.Fatal(err)
				}
			}
			_, err := Unpack(bytes.NewReader(makeTar(t, entries...)), openRoot(t, inside), UnpackOptions{})
			var refused *RefusedError
			if !errors.As(err, &refused) {
				t.Errorf("got %v, want a refusal", err)
			}
			left, err := os.ReadDir(outside)
			if err != nil || len(left) != 1 {
				t.Errorf("outside: %v, %v", left, err)
			}
			if b, _ := os.ReadFile(filepath.Join(inside, "existing")); string(b) != "mine" {
				t.Errorf("existing file is now %q", b)
			}
		})
	}
}

func TestUnpackKeepsWithinLinks(t *testing.T) {
	t.Parallel()
	b := makeTar(t, reg("./d/f", "x"), sym("d/up", "../d/f"), sym("l", "d"), hard("h", "d/f"), sym("dangling", "nowhere/at/all"))
	root := openRoot(t, t.TempDir())
	stats, err := Unpack(bytes.NewReader(b), root, UnpackOptions{})
	if err != nil || stats.Symlinks != 3 || stats.Hardlinks != 1 {
		t.Fatalf("%+v, %v", stats, err)
	}
	for _, name := range []string{"d/f", "d/up", "l/f", "h"} {
		if got, err := root.ReadFile(name); string(got) != "x" {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestUnpackModesTimesOwners(t *testing.T) {
	t.Parallel()
	when := time.Unix(1_234_567_890, 0)
	setuid := reg("d/e/tool", "x")
	setuid.Mode, setuid.ModTime = 0o6751, when
	closed := folderEntry("d", 0o555)
	closed.ModTime = when
	root := openRoot(t, t.TempDir())
	o := UnpackOptions{}
	if os.Geteuid() == 0 {
		o.Owner = &Owner{1234, 5678}
	}
	if _, err := Unpack(bytes.NewReader(makeTar(t, closed, setuid)), root, o); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		mode fs.FileMode
		time time.Time
	}{
		"d":        {fs.ModeDir | 0o755, when},
		"d/e":      {fs.ModeDir | 0o755, time.Unix(0, 0)},
		"d/e/tool": {0o751, when},
	} {
		st, err := root.Lstat(name)
		if err != nil || st.Mode() != want.mode || !st.ModTime().Equal(want.time) {
			t.Errorf("%s: %v %v, %v; want %v", name, st.Mode(), st.ModTime(), err, want)
		}
		if o.Owner != nil && ownerOf(st) != *o.Owner {
			t.Errorf("%s: owner %v", name, ownerOf(st))
		}
	}
}

func TestUnpackLastWins(t *testing.T) {
	t.Parallel()
	root := openRoot(t, t.TempDir())
	b := makeTar(t, reg("f", "first"), sym("g", "f"), reg("g", "not through the link"), reg("f", "last"))
	if _, err := Unpack(bytes.NewReader(b), root, UnpackOptions{}); err != nil {
		t.Fatal(err)
	}
	f, _ := root.ReadFile("f")
	g, _ := root.ReadFile("g")
	if string(f) != "last" || string(g) != "not through the link" {
		t.Errorf("f %q, g %q", f, g)
	}
}

func TestUnpackLimits(t *testing.T) {
	t.Parallel()
	many := []tar.Header{}
	for i := range 20 {
		many = append(many, reg(fmt.Sprint(i), "12345"))
	}
	for _, c := range []struct {
		name    string
		entries []tar.Header
		l       Limits
		what    string
	}{
		{"bytes", many, Limits{MaxBytes: 99}, LimitBytes},
		{"bytes just enough", many, Limits{MaxBytes: 100}, ""},
		{"entries", many, Limits{MaxEntries: 19}, LimitEntries},
		{"entries just enough", many, Limits{MaxEntries: 20}, ""},
		{"implied folders", []tar.Header{reg("a/b/c/d/e/f", "x")}, Limits{MaxEntries: 5}, LimitEntries},
		{"path", []tar.Header{reg(strings.Repeat("p", 101), "x")}, Limits{MaxPath: 100}, LimitPath},
		{"target", []tar.Header{sym("l", strings.Repeat("p", 101))}, Limits{MaxPath: 100}, LimitPath},
		{"depth", []tar.Header{reg("a/b/c", "x")}, Limits{MaxDepth: 2}, LimitDepth},
	} {
		_, err := Unpack(bytes.NewReader(makeTar(t, c.entries...)), openRoot(t, t.TempDir()), UnpackOptions{Limits: c.l})
		var limit *LimitError
		if c.what == "" && err != nil || c.what != "" && (!errors.As(err, &limit) || limit.What != c.what) {
			t.Errorf("%s: %v, want limit %q", c.name, err, c.what)
		}
	}
}

// Each of these is a small input, or an endless one, that promises much.
func TestUnpackBombs(t *testing.T) {
	t.Parallel()
	huge := makeTar(t, reg("f", "x"))
	copy(huge[124:136], "\x80\x00\x00\x00\x7f\xff\xff\xff\xff\xff\xff\xff") // size of 2^63-1 in base 256
	fixChecksum(huge[:512])
	global := makeTar(t, tar.Header{Typeflag: tar.TypeXGlobalHeader, Name: "g", PAXRecords: map[string]string{"comment": "x"}})
	global = global[:len(global)-1024]
	extended := bytes.Clone(global)
	extended[156] = 'x'
	fixChecksum(extended[:512])
	for name, r := range map[string]io.Reader{
		"huge size":                bytes.NewReader(huge),
		"endless global headers":   &endless{chunk: global},
		"endless extended headers": &endless{chunk: extended},
		"a million empty files":    &endless{chunk: makeTar(t, reg("f", ""))[:512]},
	} {
		_, err := Unpack(r, openRoot(t, t.TempDir()), UnpackOptions{Limits: Limits{MaxBytes: 1 << 20, MaxEntries: 1000}})
		var limit *LimitError
		if !errors.As(err, &limit) {
			t.Errorf("%s: %v, want a limit", name, err)
		}
	}
}

// endless repeats a chunk for ever.
type endless struct {
	chunk []byte
	at    int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.chunk[e.at:])
	e.at = (e.at + n) % len(e.chunk)
	return n, nil
}

func fixChecksum(block []byte) {
	copy(block[148:156], "        ")
	sum := 0
	for _, c := range block {
		sum += int(c)
	}
	copy(block[148:156], fmt.Sprintf("%06o\x00 ", sum))
}

// fixHeaders lets fuzzing get past the checksums.
func fixHeaders(b []byte) {
	for ; len(b) >= 512; b = b[512:] {
		if string(b[257:262]) == "ustar" {
			fixChecksum(b[:512])
		}
	}
}

func TestUnpackTruncated(t *testing.T) {
	t.Parallel()
	whole := makeTar(t, reg("a", strings.Repeat("x", 2000)), reg("b", "y"))
	for _, n := range []int{0, 1, 511, 513, 1000, 2511, 2560, 3000, 3100, 3584, 4096} {
		_, err := Unpack(bytes.NewReader(whole[:n]), openRoot(t, t.TempDir()), UnpackOptions{})
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%d of %d bytes: %v", n, len(whole), err)
		}
	}
	_, err := Unpack(strings.NewReader(strings.Repeat("garbage!", 200)), openRoot(t, t.TempDir()), UnpackOptions{})
	if !errors.Is(err, tar.ErrHeader) {
		t.Errorf("garbage: %v", err)
	}
}

func FuzzUnpack(f *testing.F) {
	f.Add(makeTar(f, reg("a/b", "x"), sym("l", "a"), hard("h", "a/b"), folderEntry("d", 0o700)))
	f.Add(makeTar(f, sym("d/up", ".."), sym("l", "d/up/../x"), reg("l/x", "y")))
	f.Add(makeTar(f, reg("bad\xff\nname", "x"), reg(strings.Repeat("long/", 60)+"f", "y")))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = bytes.Clone(b) // the engine's own must stay as it is
		fixHeaders(b)
		outside := t.TempDir()
		inside := filepath.Join(outside, "root")
		if err := os.Mkdir(inside, 0o755); err != nil {
			t.Fatal(err)
		}
		root, err := os.OpenRoot(inside)
		if err != nil {
			t.Fatal(err)
		}
		defer root.Close()
		limits := Limits{MaxBytes: 1 << 20, MaxEntries: 100, MaxPath: 200, MaxDepth: 10}
		stats, err := Unpack(bytes.NewReader(b), root, UnpackOptions{Limits: limits})
		if left, _ := os.ReadDir(outside); len(left) != 1 {
			t.Fatalf("outside: %v", left)
		}
		if err != nil {
			return
		}
		if stats.Bytes > limits.MaxBytes || stats.Entries() > limits.MaxEntries {
			t.Fatalf("beyond the limits: %+v", stats)
		}
		// No link may lead out, even when followed by the kernel.
		filepath.WalkDir(inside, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.Type() == fs.ModeSymlink {
				if to, err := filepath.EvalSymlinks(path); err == nil && to != inside && !strings.HasPrefix(to, inside+"/") {
					t.Fatalf("%s leads to %s", path, to)
				}
			}
			return nil
		})
		if _, err := Pack(io.Discard, root, nil, PackOptions{}); err != nil {
			t.Fatalf("pack again: %v", err)
		}
	})
}
