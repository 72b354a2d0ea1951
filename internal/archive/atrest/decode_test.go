package atrest

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"

	"github.com/program-explorer/pe/internal/archive"
)

// sample is an index with one entry of each kind.
func sample(t testing.TB) ([]byte, Index) {
	return repack(t, makeTar(t, file("d/a", prose(2000)), other(tar.TypeDir, "d/"), link(tar.TypeSymlink, "l", "d/a"),
		link(tar.TypeLink, "h", "d/a"), file("bad\xff", noise(300_000)), other(tar.TypeFifo, "f")), archive.Limits{})
}

func TestDecodeIndexRefuses(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Index){
		"version":               func(x *Index) { x.Version = 2 },
		"archive digest":        func(x *Index) { x.ArchiveSHA256 = "sha256:xyz" },
		"archive size":          func(x *Index) { x.ArchiveSize = 10 },
		"totals":                func(x *Index) { x.Files++ },
		"bytes":                 func(x *Index) { x.Bytes++ },
		"absolute path":         func(x *Index) { x.Entries[0].Path = "/a" },
		"climbing path":         func(x *Index) { x.Entries[0].Path = "../a" },
		"unclean path":          func(x *Index) { x.Entries[0].Path = "d//a" },
		"root":                  func(x *Index) { x.Entries[1].Path = "." },
		"twice":                 func(x *Index) { x.Entries[2].Path = "d/a" },
		"below a file":          func(x *Index) { x.Entries[2].Path = "d/a/b" },
		"base64 of other text":  func(x *Index) { x.Entries[4].Path = "good" },
		"base64 of UTF-8":       func(x *Index) { x.Entries[0].PathBase64 = "ZC9h" },
		"base64 is not":         func(x *Index) { x.Entries[4].PathBase64 = "%%" },
		"link that leaves":      func(x *Index) { x.Entries[2].Link = "../x" },
		"hard link to nothing":  func(x *Index) { x.Entries[3].Link = "none" },
		"digest of a file":      func(x *Index) { x.Entries[0].SHA256 = "" },
		"media type":            func(x *Index) { x.Entries[0].MediaType = "text/html\r\nSet-Cookie: x" },
		"digest of a folder":    func(x *Index) { x.Entries[1].SHA256 = x.Entries[0].SHA256 },
		"unknown type":          func(x *Index) { x.Entries[1].Type = "device" },
		"mode":                  func(x *Index) { x.Entries[0].Mode = 0o4755 },
		"overlapping frames":    func(x *Index) { x.Entries[1].Offset-- },
		"frame beyond the end":  func(x *Index) { x.Entries[4].Length = 1 << 40 },
		"negative length":       func(x *Index) { x.Entries[0].Length = -1 },
		"huge header":           func(x *Index) { x.Entries[0].Header = 1 << 30 },
		"negative size":         func(x *Index) { x.Entries[0].Size = -1 },
		"time":                  func(x *Index) { x.Entries[0].MTimeUS = 1 << 62 },
		"skipped total":         func(x *Index) { x.SkippedTotal = 0 },
		"skipped path too long": func(x *Index) { x.Skipped[0].Path = strings.Repeat("x", 1000) },
	} {
		_, x := sample(t)
		change(&x)
		var b bytes.Buffer
		if err := x.Encode(&b); err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeIndex(&b, 1<<20); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestDecodeIndexStrict(t *testing.T) {
	t.Parallel()
	_, x := sample(t)
	var b bytes.Buffer
	if err := x.Encode(&b); err != nil {
		t.Fatal(err)
	}
	text := b.String()
	if _, err := DecodeIndex(strings.NewReader(text), int64(len(text))); err != nil {
		t.Errorf("exactly as long as allowed: %v", err)
	}
	var limit *archive.LimitError
	if _, err := DecodeIndex(strings.NewReader(text), int64(len(text)-2)); !errors.As(err, &limit) {
		t.Errorf("too long: %v", err)
	}
	for name, text := range map[string]string{
		"empty": "", "truncated": text[:len(text)/2], "followed": text + "{}",
		"unknown field": strings.Replace(text, `"version"`, `"extra":1,"version"`, 1), "not an object": "[]",
		"member twice": strings.Replace(text, `"version"`, `"entries":[],"version"`, 1), "other case": strings.Replace(text, `"entries"`, `"Entries"`, 1),
	} {
		if _, err := DecodeIndex(strings.NewReader(text), 1<<20); err == nil {
			t.Errorf("%s: was accepted", name)
		}
	}
}

func TestOpenEntryRefuses(t *testing.T) {
	t.Parallel()
	at, x := sample(t)
	for _, i := range []int{0, 4} {
		e := x.Entries[i]
		frame := at[e.Offset : e.Offset+e.Length]
		if got, err := open(at, e); err != nil || digestOf(got) != e.SHA256 {
			t.Fatalf("entry %d: %v", i, err)
		}
		for name, change := range map[string]func(*Entry) []byte{
			"other digest":     func(e *Entry) []byte { e.SHA256 = digestOf(nil); return frame },
			"other size":       func(e *Entry) []byte { e.Size++; return frame },
			"smaller size":     func(e *Entry) []byte { e.Size -= 600; return frame },
			"other header":     func(e *Entry) []byte { e.Header--; return frame },
			"header too large": func(e *Entry) []byte { e.Header = maxHeader; e.Size = 0; return frame[:len(frame)/2] },
			"negative header":  func(e *Entry) []byte { e.Header = -1; return frame },
			"truncated":        func(*Entry) []byte { return frame[:len(frame)-10] },
			"shorter length":   func(e *Entry) []byte { e.Length -= 10; return frame },
			"empty":            func(*Entry) []byte { return nil },
			"garbage":          func(*Entry) []byte { return noise(len(frame)) },
			"a folder":         func(e *Entry) []byte { e.Type = TypeDir; return frame },
			"a bit":            func(*Entry) []byte { b := bytes.Clone(frame); b[len(b)/2] ^= 1; return b },
			"more behind it": func(e *Entry) []byte {
				more := append(bytes.Clone(frame), frame...)
				e.Length = int64(len(more))
				return more
			},
		} {
			changed := e
			b := change(&changed)
			r, err := OpenEntry(bytes.NewReader(b), changed)
			if err == nil {
				var n int64
				if n, err = io.Copy(io.Discard, r); n > changed.Size {
					t.Errorf("entry %d, %s: %d bytes came out", i, name, n)
				}
				r.Close()
			}
			if err == nil {
				t.Errorf("entry %d, %s: was accepted", i, name)
			}
		}
	}
}

// A frame of a few kilobytes that holds megabytes must not be unpacked further than the index allows.
func TestOpenEntryBomb(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	w, err := zstd.NewWriter(&b)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(w, zeroReader{}, 1<<27); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	e := Entry{Type: TypeFile, Header: 512, Size: 1000, SHA256: digestOf(make([]byte, 1000)), Length: int64(b.Len())}
	r, err := OpenEntry(&b, e)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if n, err := io.Copy(io.Discard, r); n > 1000 || !errors.Is(err, ErrDigest) {
		t.Errorf("%d bytes, %v", n, err)
	}
}

type zeroReader struct{}

func (zeroReader) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
