package producer

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

func TestFilesOfAFolder(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for name, mode := range map[string]os.FileMode{"b.sh": 0o755, "sub/a.txt": 0o600} {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("sub/a.txt", filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	for given, want := range map[string]string{"": "b.sh* link sub/a.txt", "x/y": "x/y/b.sh* x/y/link x/y/sub/a.txt", "/abs": "/abs/b.sh* /abs/link /abs/sub/a.txt"} {
		files, err := Files(given, dir)
		if err != nil {
			t.Fatal(err)
		}
		var names []string
		for _, f := range files {
			names = append(names, f.Name+map[bool]string{true: "*"}[f.Executable])
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: %s, want %s", given, got, want)
		}
	}
	for _, target := range []string{"/etc/passwd", "../../etc/passwd", "sub", "gone"} {
		bad := filepath.Join(dir, "bad")
		if err := os.Symlink(target, bad); err != nil {
			t.Fatal(err)
		}
		if files, err := Files("", dir); err == nil {
			t.Errorf("a link to %s: %v", target, files)
		}
		os.Remove(bad)
	}
	if _, err := Files("", t.TempDir()); err == nil || !strings.Contains(err.Error(), "holds no files") {
		t.Error(err)
	}
	if _, err := Files("", os.DevNull); err == nil || !strings.Contains(err.Error(), "neither a file nor a folder") {
		t.Error(err)
	}
}

func TestSpool(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 10, 1 << 20, 3<<20 + 1} {
		data := bytes.Repeat([]byte{'x'}, size)
		f, remove, err := Spool("stdin", bytes.NewReader(data))
		if err != nil || f.Size != int64(size) {
			t.Fatalf("%d: %v", f.Size, err)
		}
		for range 2 {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			if got, err := io.ReadAll(r); err != nil || !bytes.Equal(got, data) {
				t.Errorf("%d bytes, %v; want %d", len(got), err, size)
			}
			r.Close()
		}
		remove()
	}
}

func TestInlineStaysSmall(t *testing.T) {
	t.Parallel()
	var files []LocalFile
	for i := range 20 {
		files = append(files, LocalFile{Name: string(rune('a' + i)), Size: MaxInline, Open: func() (io.ReadCloser, error) {
			return io.NopCloser(strings.NewReader(strings.Repeat("y", MaxInline))), nil
		}})
	}
	inline := 0
	for _, f := range files[:maxInlineTotal/MaxInline] {
		in, err := f.inline()
		if err != nil || in.Text == nil {
			t.Fatal(err)
		}
		inline += len(*in.Text)
	}
	if inline > schemas.MaxGrantedSpec/2 {
		t.Errorf("%d bytes inline: a claim could not carry the specification", inline)
	}
	bin := LocalFile{Name: "b", Size: 2, Executable: true, Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("\xff\x00")), nil }}
	if in, err := bin.inline(); err != nil || in.Base64 == nil || *in.Base64 != "/wA=" || in.Mode != "0755" {
		t.Errorf("%+v, %v", in, err)
	}
}
