package objstore_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/program-explorer/pe/internal/objstore"
)

func TestVerifyReader(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		body string
		o    objstore.PutOptions
		want error
	}{
		{"abc", objstore.PutOptions{Size: 3}, nil},
		{"abc", objstore.PutOptions{Size: -1}, nil},
		{"abc", objstore.PutOptions{Size: -1, MaxSize: 3}, nil},
		{"abcd", objstore.PutOptions{Size: -1, MaxSize: 3}, objstore.ErrSize},
		{"ab", objstore.PutOptions{Size: 3}, objstore.ErrSize},
		{"abcd", objstore.PutOptions{Size: 3}, objstore.ErrSize},
		{"", objstore.PutOptions{Size: 0}, nil},
	} {
		for name, wrap := range map[string]func(io.Reader) io.Reader{
			"plain": func(r io.Reader) io.Reader { return r }, "one byte": iotest.OneByteReader, "data with EOF": iotest.DataErrReader,
		} {
			v, err := objstore.NewVerifyReader(t.Context(), wrap(strings.NewReader(c.body)), c.o)
			if err != nil {
				t.Fatal(err)
			}
			b, err := io.ReadAll(v)
			if !errors.Is(err, c.want) || c.want == nil && (err != nil || string(b) != c.body) {
				t.Errorf("%s, %q, %+v: %q, %v", name, c.body, c.o, b, err)
			}
			if _, again := v.Read(make([]byte, 1)); c.want != nil && !errors.Is(again, c.want) {
				t.Errorf("%s, %q: a second read gives %v", name, c.body, again)
			}
			if (v.SHA256() != "") != (c.want == nil) {
				t.Errorf("%s, %q: digest %q", name, c.body, v.SHA256())
			}
		}
	}
}

func TestVerifyReaderCancelled(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	v, err := objstore.NewVerifyReader(ctx, bytes.NewReader(make([]byte, 100)), objstore.PutOptions{Size: 100})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := v.Read(make([]byte, 10)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := v.Read(make([]byte, 10)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestRangeWithin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		r          objstore.Range
		size, want int64
		err        error
	}{
		{objstore.Range{}, 0, 0, nil},
		{objstore.Range{}, 10, 10, nil},
		{objstore.Range{Offset: 9}, 10, 1, nil},
		{objstore.Range{Offset: 10}, 10, 0, objstore.ErrRange},
		{objstore.Range{Offset: 5, Length: 1 << 62}, 10, 5, nil},
		{objstore.Range{Offset: 1 << 62, Length: 1 << 62}, 10, 0, objstore.ErrRange},
	} {
		if got, err := c.r.Within(c.size); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%+v of %d: %d, %v", c.r, c.size, got, err)
		}
	}
}

func FuzzValidateKey(f *testing.F) {
	for _, s := range []string{"local/in/abc", "a/../b", "a//b", ".a", "a\x00", strings.Repeat("a", 600)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, key string) {
		if objstore.ValidateKey(key) != nil {
			return
		}
		for segment := range strings.SplitSeq(key, "/") {
			if segment == "" || strings.HasPrefix(segment, ".") || len(segment) > 200 || fmt.Sprintf("%q", segment) != `"`+segment+`"` {
				t.Fatalf("%q was accepted", key)
			}
		}
	})
}
