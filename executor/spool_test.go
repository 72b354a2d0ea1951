package executor

import (
	"bytes"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/program-explorer/pe/schemas"
)

func testSpool(t *testing.T) *spool {
	t.Helper()
	s := &spool{
		open: func() (*os.File, error) { return os.Create(filepath.Join(t.TempDir(), "stdout")) },
		live: func(int64, []byte) {},
	}
	t.Cleanup(func() { s.close() })
	return s
}

func TestSpoolStdio(t *testing.T) {
	t.Parallel()
	almost := strings.Repeat("a", schemas.StdioHead-1)
	for name, tc := range map[string]struct {
		writes    []string
		cut       bool // the guest dropped some
		text      string
		base64    string
		truncated bool
	}{
		"nothing":                       {},
		"two writes":                    {writes: []string{"one", " two"}, text: "one two"},
		"exactly the head":              {writes: []string{almost, "b"}, text: almost + "b"},
		"longer than the head":          {writes: []string{almost, "bc"}, text: almost + "b", truncated: true},
		"the head ends in a character":  {writes: []string{almost, "\u20ac"}, text: almost, truncated: true},
		"cut by the guest":              {writes: []string{"x"}, cut: true, text: "x", truncated: true},
		"not UTF-8":                     {writes: []string{"a\xffb"}, text: "a\uFFFDb", base64: "a\xffb"},
		"ends in half a character":      {writes: []string{"a\xe2\x82"}, text: "a\uFFFD", base64: "a\xe2\x82"},
		"a character in two writes":     {writes: []string{"\xe2\x82", "\xac"}, text: "\u20ac"},
		"not UTF-8 at the head's edge":  {writes: []string{almost + "\xff\xff"}, text: almost + "\uFFFD", base64: almost + "\xff", truncated: true},
		"only continuations at the end": {writes: []string{almost[3:] + "\x80\x80\x80\x80\x80"}, text: almost[3:] + "\uFFFD", base64: almost[3:] + "\x80\x80\x80\x80", truncated: true},
	} {
		s := testSpool(t)
		var size int64
		for _, p := range tc.writes {
			s.write([]byte(p))
			size += int64(len(p))
		}
		got, err := s.stdio(tc.cut)
		if err != nil || got.Text != tc.text || got.Truncated != tc.truncated || got.Bytes != size {
			t.Errorf("%s: %d bytes of text, truncated %v, %d in all, %v", name, len(got.Text), got.Truncated, got.Bytes, err)
		}
		if raw, err := base64.StdEncoding.DecodeString(got.Base64); err != nil || string(raw) != tc.base64 {
			t.Errorf("%s: base64 of %d bytes, %v", name, len(raw), err)
		}
	}
}

func TestSpoolRead(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	s.write([]byte("0123456789"))
	for _, tc := range []struct {
		offset int64
		limit  int
		want   string
	}{{0, 4, "0123"}, {4, 100, "456789"}, {9, 1, "9"}, {10, 5, ""}, {11, 5, ""}, {-1, 5, ""}, {1 << 62, 5, ""}} {
		got, end, err := s.read(tc.offset, tc.limit)
		if err != nil || string(got) != tc.want || end != 10 {
			t.Errorf("from %d at most %d: %q, end %d, %v", tc.offset, tc.limit, got, end, err)
		}
	}
	s.close()
	if _, _, err := s.read(0, 1); !errors.Is(err, os.ErrClosed) {
		t.Errorf("after close: %v", err)
	}
}

func TestSpoolHasReadersWhileItGrows(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	var offset int64
	s.live = func(at int64, p []byte) {
		if at != offset {
			t.Errorf("live chunk at %d, want %d", at, offset)
		}
		offset += int64(len(p))
	}
	want := bytes.Repeat([]byte("abcdefghij"), 20_000)
	var readers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			var got []byte
			for len(got) < len(want) {
				p, _, err := s.read(int64(len(got)), 4096)
				if err != nil {
					t.Error(err)
					return
				}
				got = append(got, p...)
			}
			if !bytes.Equal(got, want) {
				t.Error("a reader got something else")
			}
		})
	}
	for p := range bytes.Lines(bytes.ReplaceAll(want, []byte("j"), []byte("\n"))) {
		p[len(p)-1] = 'j'
		s.write(p)
	}
	readers.Wait()
	whole, err := io.ReadAll(s.whole())
	if err != nil || !bytes.Equal(whole, want) || !s.long() {
		t.Errorf("whole: %d bytes, %v", len(whole), err)
	}
}

// A disk that is full fails the attempt at its end, not the program in its middle.
func TestSpoolOnAFullDisk(t *testing.T) {
	t.Parallel()
	s := testSpool(t)
	s.open = func() (*os.File, error) { return nil, errors.New("no space left on device") }
	s.write([]byte("x"))
	if _, err := s.stdio(false); err != nil {
		t.Errorf("a log that needs no disk: %v", err)
	}
	s.write(make([]byte, schemas.StdioHead))
	if p, _, err := s.read(0, 1); err != nil || string(p) != "x" {
		t.Errorf("read %q, %v", p, err)
	}
	if _, err := s.stdio(false); err == nil {
		t.Error("a log that was not kept is reported")
	}
}
