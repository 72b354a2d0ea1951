package objstoretest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"

	"github.com/program-explorer/pe/internal/objstore"
)

func putGet(t *testing.T, s objstore.Store) {
	for _, n := range []int{0, 1, 1023, 1 << 16, 3<<20 + 17} {
		key, b := fmt.Sprintf("local/in/size-%d", n), noise(n)
		o := sized(b)
		o.ContentType = "text/x-c; charset=utf-8"
		info, err := s.Put(t.Context(), key, bytes.NewReader(b), o)
		if err != nil {
			t.Fatal(err)
		}
		if info.Key != key || info.Size != int64(n) || info.SHA256 != sum(b) {
			t.Errorf("put of %d bytes: %+v", n, info)
		}
		if got := mustGet(t, s, key, objstore.Range{}); !bytes.Equal(got, b) {
			t.Errorf("%d bytes came back as %d other ones", n, len(got))
		}
		st, err := s.Stat(t.Context(), key)
		if err != nil {
			t.Fatal(err)
		}
		if st.Key != key || st.Size != int64(n) || st.ContentType != o.ContentType || st.ModTime.IsZero() {
			t.Errorf("stat of %d bytes: %+v", n, st)
		}
		if st.SHA256 != "" && st.SHA256 != sum(b) {
			t.Errorf("stat of %d bytes: sha256 %s", n, st.SHA256)
		}
	}
}

func putVerified(t *testing.T, s objstore.Store) {
	for _, n := range []int{0, 100, 2 << 20} {
		b := noise(n)
		for _, size := range []int64{int64(n), -1} {
			o := objstore.PutOptions{Size: size, SHA256: sum(b)}
			if _, err := s.Put(t.Context(), "right", bytes.NewReader(b), o); err != nil {
				t.Errorf("right digest of %d bytes, size %d: %v", n, size, err)
			}
			o.SHA256 = sum([]byte("other"))
			_, err := s.Put(t.Context(), "wrong", bytes.NewReader(b), o)
			wantIs(t, fmt.Sprintf("wrong digest of %d bytes, size %d", n, size), err, objstore.ErrDigest)
			_, err = s.Stat(t.Context(), "wrong")
			wantIs(t, "stat after it", err, objstore.ErrNotFound)
		}
	}
}

func putIfAbsent(t *testing.T, s objstore.Store) {
	o := objstore.PutOptions{Size: 3, IfAbsent: true}
	if _, err := s.Put(t.Context(), "a/once", strings.NewReader("one"), o); err != nil {
		t.Fatal(err)
	}
	_, err := s.Put(t.Context(), "a/once", strings.NewReader("two"), o)
	wantIs(t, "second put", err, objstore.ErrExists)
	if got := mustGet(t, s, "a/once", objstore.Range{}); string(got) != "one" {
		t.Errorf("got %q, want the first content", got)
	}
}

func putReplaces(t *testing.T, s objstore.Store) {
	mustPut(t, s, "a/key", []byte("first"))
	mustPut(t, s, "a/key", []byte("second one"))
	if got := mustGet(t, s, "a/key", objstore.Range{}); string(got) != "second one" {
		t.Errorf("got %q", got)
	}
}

func putUnknownSize(t *testing.T, s objstore.Store) {
	for _, n := range []int{0, 10, 1 << 20, 5 << 20} {
		b := noise(n)
		info, err := s.Put(t.Context(), "stream", iotest.OneByteReader(bytes.NewReader(b[:min(n, 1000)])), objstore.PutOptions{Size: -1})
		if err != nil || info.Size != int64(min(n, 1000)) {
			t.Errorf("slow put of %d bytes: %+v, %v", n, info, err)
		}
		info, err = s.Put(t.Context(), "stream", bytes.NewReader(b), objstore.PutOptions{Size: -1, MaxSize: 5 << 20})
		if err != nil || info.Size != int64(n) || info.SHA256 != sum(b) {
			t.Errorf("put of %d bytes: %+v, %v", n, info, err)
		}
		if got := mustGet(t, s, "stream", objstore.Range{}); !bytes.Equal(got, b) {
			t.Errorf("%d bytes came back as %d other ones", n, len(got))
		}
	}
}

func putRefused(t *testing.T, s objstore.Store) {
	for _, c := range []struct {
		name string
		body string
		o    objstore.PutOptions
		want error
	}{
		{"short", "abc", objstore.PutOptions{Size: 4}, objstore.ErrSize},
		{"short with digest", "abc", objstore.PutOptions{Size: 4, SHA256: sum([]byte("abcd"))}, objstore.ErrSize},
		{"empty but announced", "", objstore.PutOptions{Size: 1}, objstore.ErrSize},
		{"long", "abcde", objstore.PutOptions{Size: 4}, objstore.ErrSize},
		{"long with digest", "abcde", objstore.PutOptions{Size: 4, SHA256: sum([]byte("abcd"))}, objstore.ErrSize},
		{"long where nothing was announced", "a", objstore.PutOptions{Size: 0, SHA256: sum(nil)}, objstore.ErrSize},
		{"oversized", strings.Repeat("x", 1001), objstore.PutOptions{Size: -1, MaxSize: 1000}, objstore.ErrSize},
		{"announced too large", "abc", objstore.PutOptions{Size: 3, MaxSize: 2}, objstore.ErrSize},
		{"absurd size", "abc", objstore.PutOptions{Size: -2}, objstore.ErrOptions},
		{"absurd digest", "abc", objstore.PutOptions{Size: 3, SHA256: "xyz"}, objstore.ErrOptions},
		{"absurd type", "abc", objstore.PutOptions{Size: 3, ContentType: "a\r\nb"}, objstore.ErrOptions},
	} {
		_, err := s.Put(t.Context(), "refused", strings.NewReader(c.body), c.o)
		wantIs(t, c.name, err, c.want)
	}
	wantNothing(t, s)
}

func putCancelled(t *testing.T, s objstore.Store) {
	b := noise(1 << 20)
	for _, o := range []objstore.PutOptions{{Size: 1 << 20}, {Size: -1}, {Size: 1 << 20, SHA256: sum(b)}} {
		ctx, cancel := context.WithCancel(t.Context())
		body := io.MultiReader(bytes.NewReader(b[:1<<19]), readerFunc(func([]byte) (int, error) {
			cancel()
			return 0, nil
		}), bytes.NewReader(b[1<<19:]))
		_, err := s.Put(ctx, "cancelled", body, o)
		cancel()
		wantIs(t, "cancelled put", err, context.Canceled)
	}
	wantNothing(t, s)
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) {
	n, err := f(p)
	if n == 0 && err == nil {
		return 0, io.EOF // one call, then the next reader
	}
	return n, err
}

func putBrokenReader(t *testing.T, s objstore.Store) {
	broken := errors.New("line went dead")
	for _, size := range []int64{100, -1} {
		body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
		_, err := s.Put(t.Context(), "broken", body, objstore.PutOptions{Size: size})
		wantIs(t, "broken reader", err, broken)
	}
	body := io.MultiReader(strings.NewReader("half"), iotest.ErrReader(broken))
	_, err := s.Put(t.Context(), "broken", body, objstore.PutOptions{Size: 100, SHA256: sum(noise(100))})
	wantIs(t, "broken reader of announced content", err, broken)
	wantNothing(t, s)
}

// putConcurrent: of many conditional puts at once exactly one wins, and the
// object is that one's, whole.
func putConcurrent(t *testing.T, s objstore.Store) {
	const writers = 8
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for i := range writers {
		wg.Go(func() {
			b := bytes.Repeat([]byte{byte('a' + i)}, 100_000)
			_, errs[i] = s.Put(t.Context(), "race/key", bytes.NewReader(b), objstore.PutOptions{Size: int64(len(b)), SHA256: sum(b), IfAbsent: true})
		})
	}
	wg.Wait()
	winner := -1
	for i, err := range errs {
		if err == nil && winner < 0 {
			winner = i
		} else if err == nil {
			t.Errorf("writers %d and %d both won", winner, i)
		} else {
			wantIs(t, "loser", err, objstore.ErrExists)
		}
	}
	if winner < 0 {
		t.Fatalf("nobody won: %v", errs)
	}
	want := bytes.Repeat([]byte{byte('a' + winner)}, 100_000)
	if got := mustGet(t, s, "race/key", objstore.Range{}); !bytes.Equal(got, want) {
		t.Errorf("object is not the winner's")
	}
}
