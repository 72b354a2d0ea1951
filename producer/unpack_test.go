package producer

import (
	"archive/tar"
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func archiveOf(t testing.TB, headers ...tar.Header) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	for _, h := range headers {
		content := ""
		if h.Typeflag == tar.TypeReg {
			content, h.Linkname = h.Linkname, ""
			h.Size = int64(len(content))
		}
		if err := w.WriteHeader(&h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(content)); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

func TestUnpackKeepsWhatItShould(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	data := archiveOf(t,
		tar.Header{Typeflag: tar.TypeDir, Name: "d/", Mode: 0o500},
		tar.Header{Typeflag: tar.TypeReg, Name: "d/f", Mode: 0o4755, Linkname: "x"},
		tar.Header{Typeflag: tar.TypeReg, Name: "ro", Mode: 0o444, Linkname: "y"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/up", Linkname: "../ro"},
		tar.Header{Typeflag: tar.TypeSymlink, Name: "d/dot", Linkname: ".."},
	)
	for range 2 { // the second time over what the first has left
		done, err := Unpack(bytes.NewReader(data), dir, UnpackOptions{})
		if err != nil || done.Files != 4 || done.Bytes != 2 {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "d/f"))
	if err != nil || info.Mode() != 0o755 {
		t.Errorf("mode %v, %v: special bits must go", info.Mode(), err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "d/up")); err != nil || string(text) != "y" {
		t.Errorf("%q, %v", text, err)
	}
	if _, err := Unpack(bytes.NewReader(data), dir, UnpackOptions{MaxBytes: 1}); err == nil || !strings.Contains(err.Error(), "more than 1 bytes") {
		t.Error(err)
	}
	left, err := filepath.Glob(filepath.Join(dir, "*", ".pe-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

// TestUnpackHardLinks: two names of one file, and nothing of anybody else's.
func TestUnpackHardLinks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	data := archiveOf(t,
		tar.Header{Typeflag: tar.TypeReg, Name: "first", Mode: 0o644, Linkname: "x"},
		tar.Header{Typeflag: tar.TypeLink, Name: "d/second", Linkname: "first"},
		tar.Header{Typeflag: tar.TypeLink, Name: "d/second", Linkname: "first"},
	)
	for range 2 {
		if done, err := Unpack(bytes.NewReader(data), dir, UnpackOptions{}); err != nil || done.Files != 3 {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	if left, err := filepath.Glob(filepath.Join(dir, "*", ".pe-*")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "d/second")); err != nil || string(text) != "x" {
		t.Errorf("%q, %v", text, err)
	}
	if err := os.WriteFile(filepath.Join(dir, "private"), []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, target := range []string{"private", "absent", "../private", "/etc/passwd", "new"} {
		data := archiveOf(t, tar.Header{Typeflag: tar.TypeLink, Name: "new", Linkname: target})
		if _, err := Unpack(bytes.NewReader(data), dir, UnpackOptions{}); err == nil {
			t.Errorf("a hard link to %s was made", target)
		}
	}
}

// TestUnpackKeepsStrangeNames: a program may name its outputs by any bytes.
func TestUnpackKeepsStrangeNames(t *testing.T) {
	t.Parallel()
	names := []string{"new\nline", "..dots", " ", "-rf", "back\\slash"}
	if runtime.GOOS == "linux" { // elsewhere a filesystem may want UTF-8
		names = append(names, "bad\xffutf8")
	}
	for _, name := range names {
		dir := t.TempDir()
		data := archiveOf(t, tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: 0o644, Linkname: "x"})
		if done, err := Unpack(bytes.NewReader(data), dir, UnpackOptions{}); err != nil || done.Files != 1 {
			t.Errorf("%q: %+v, %v", name, done, err)
		}
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Error(err)
		}
	}
}

func TestUnpackOfNothingMakesNothing(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "out")
	if _, err := Unpack(bytes.NewReader(archiveOf(t)), dir, UnpackOptions{}); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(dir); err == nil {
		t.Error("an empty folder was made")
	}
	cut := archiveOf(t, tar.Header{Typeflag: tar.TypeReg, Name: "f", Mode: 0o644, Linkname: "content"})
	if _, err := Unpack(bytes.NewReader(cut[:515]), dir, UnpackOptions{}); err == nil {
		t.Error("half a file was taken for a whole one")
	}
	if _, err := os.Stat(filepath.Join(dir, "f")); err == nil {
		t.Error("half a file was left")
	}
}

// FuzzUnpack: whatever the archive, nothing appears outside of the folder, and
// every link that was made leads to a place inside.
func FuzzUnpack(f *testing.F) {
	f.Add(archiveOf(f, tar.Header{Typeflag: tar.TypeReg, Name: "a/b", Mode: 0o644, Linkname: "x"}, tar.Header{Typeflag: tar.TypeSymlink, Name: "a/l", Linkname: "b"}))
	f.Add(archiveOf(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "l", Linkname: "."}, tar.Header{Typeflag: tar.TypeSymlink, Name: "l/m", Linkname: "../x"}))
	f.Add(archiveOf(f, tar.Header{Typeflag: tar.TypeSymlink, Name: "a", Linkname: "b/.."}, tar.Header{Typeflag: tar.TypeReg, Name: "../x", Linkname: "x"}))
	f.Add([]byte("not a tar"))
	f.Fuzz(func(t *testing.T, data []byte) {
		top := t.TempDir()
		dir := filepath.Join(top, "in", "out")
		_, _ = Unpack(bytes.NewReader(data), dir, UnpackOptions{MaxBytes: 1 << 20}) // refusing is right as well
		inside, err := filepath.EvalSymlinks(dir)
		if err != nil {
			return // nothing was written
		}
		err = filepath.WalkDir(top, func(p string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			if p != top && p != filepath.Dir(dir) && p != dir && !strings.HasPrefix(p, dir+"/") {
				t.Errorf("written outside: %s", p)
			}
			if d.Type()&fs.ModeSymlink != 0 {
				if end, err := filepath.EvalSymlinks(p); err == nil && end != inside && !strings.HasPrefix(end, inside+"/") {
					t.Errorf("%s leads to %s", p, end)
				}
			}
			return nil
		})
		if err != nil {
			t.Error(err)
		}
	})
}

func FuzzEvents(f *testing.F) {
	f.Add([]byte("id: 1\nevent: stdout\ndata: {\"offset\":0,\"text\":\"a\"}\n\n: comment\n\ndata\ndata: x\r\n\r\n"))
	f.Add([]byte("data: a\ndata: b\n\nevent: x\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		r := newSSEReader(bytes.NewReader(data))
		for range len(data) + 1 {
			m, err := r.next(func() {})
			if err != nil {
				return
			}
			if len(m.data) > len(data) {
				t.Errorf("more data than there was")
			}
		}
		t.Error("more events than bytes")
	})
}

func TestEvents(t *testing.T) {
	t.Parallel()
	r := newSSEReader(strings.NewReader("id: 7\nevent: a\ndata: 1\ndata:2\n\n:c\n\nevent: empty\n\nid\ndata: 3\r\n\r\ndata: cut off\n"))
	first, err := r.next(func() {})
	if err != nil || first.event != "a" || first.id != "7" || string(first.data) != "1\n2" {
		t.Errorf("%+v, %v", first, err)
	}
	second, err := r.next(func() {})
	if err != nil || second.event != "" || second.id != "" || string(second.data) != "3" {
		t.Errorf("%+v, %v", second, err)
	}
	if third, err := r.next(func() {}); err == nil {
		t.Errorf("%+v was not whole", third)
	}
	if _, err := newSSEReader(strings.NewReader(strings.Repeat("x", 2*maxEvent))).next(func() {}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Error(err)
	}
}
