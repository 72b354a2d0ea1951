package objstoretest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/program-explorer/pe/internal/objstore"
)

func getRange(t *testing.T, s objstore.Store) {
	const all = "0123456789"
	mustPut(t, s, "digits", []byte(all))
	for _, c := range []struct {
		r    objstore.Range
		want string
	}{
		{objstore.Range{}, all},
		{objstore.Range{Length: 1}, "0"},
		{objstore.Range{Offset: 3, Length: 4}, "3456"},
		{objstore.Range{Offset: 3}, "3456789"},
		{objstore.Range{Offset: 9, Length: 1}, "9"},
		{objstore.Range{Offset: 8, Length: 100}, "89"},
	} {
		if got := mustGet(t, s, "digits", c.r); string(got) != c.want {
			t.Errorf("range %+v: got %q, want %q", c.r, got, c.want)
		}
		body, info, err := s.Get(t.Context(), "digits", c.r)
		if err != nil {
			t.Fatal(err)
		}
		body.Close()
		if info.Size != int64(len(all)) {
			t.Errorf("range %+v: size %d, want the whole object's", c.r, info.Size)
		}
	}
	for _, r := range []objstore.Range{{Offset: 10}, {Offset: 11, Length: 1}, {Offset: -1}, {Length: -1}} {
		_, _, err := s.Get(t.Context(), "digits", r)
		wantIs(t, fmt.Sprintf("range %+v", r), err, objstore.ErrRange)
	}
}

func absent(t *testing.T, s objstore.Store) {
	mustPut(t, s, "there/is", []byte("x"))
	for _, key := range []string{"absent", "there", "there/is/not", "there/isn-t"} {
		_, _, err := s.Get(t.Context(), key, objstore.Range{})
		wantIs(t, "get "+key, err, objstore.ErrNotFound)
		_, _, err = s.Get(t.Context(), key, objstore.Range{Offset: 1, Length: 1})
		wantIs(t, "ranged get "+key, err, objstore.ErrNotFound)
		_, err = s.Stat(t.Context(), key)
		wantIs(t, "stat "+key, err, objstore.ErrNotFound)
	}
}

func keyBesideFolder(t *testing.T, s objstore.Store) {
	mustPut(t, s, "x/in.d/deep", []byte("below"))
	mustPut(t, s, "x/in", []byte("beside"))
	if got := mustGet(t, s, "x/in", objstore.Range{}); string(got) != "beside" {
		t.Errorf("got %q", got)
	}
}

func keysOf(found []objstore.Info) []string {
	keys := []string{}
	for _, i := range found {
		keys = append(keys, i.Key)
	}
	return keys
}

func list(t *testing.T, s objstore.Store) {
	// In byte order "-" and "." come before "/", digits and letters after it.
	keys := []string{"t/a-b", "t/a.b", "t/a/1", "t/a/2/x", "t/a0", "t/b", "u/a", "z"}
	for _, k := range slices.Backward(keys) {
		mustPut(t, s, k, []byte(k))
	}
	for _, c := range []struct {
		prefix, after string
		limit         int
		want          []string
	}{
		{"", "", 0, keys},
		{"t/", "", 0, keys[:6]},
		{"t/a", "", 0, keys[:5]},
		{"t/a/", "", 0, keys[2:4]},
		{"t/a/2", "", 0, keys[3:4]},
		{"z", "", 0, keys[7:]},
		{"zz", "", 0, nil},
		{"none/", "", 0, nil},
		{"t/", "t/a/1", 0, keys[3:6]},
		{"t/", "t/a/2/x", 1, keys[4:5]},
		{"", "t/a.c", 2, keys[2:4]},
		{"", "zz", 0, nil},
		{"u/", "a", 0, keys[6:7]},
	} {
		found, err := s.List(t.Context(), c.prefix, c.after, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if got := keysOf(found); !slices.Equal(got, c.want) {
			t.Errorf("list %q after %q limit %d: got %v, want %v", c.prefix, c.after, c.limit, got, c.want)
		}
		for _, i := range found {
			if i.Size != int64(len(i.Key)) || i.ModTime.IsZero() {
				t.Errorf("listed %+v", i)
			}
		}
	}
	for _, limit := range []int{-1, objstore.MaxList + 1} {
		_, err := s.List(t.Context(), "", "", limit)
		wantIs(t, fmt.Sprint("limit ", limit), err, objstore.ErrOptions)
	}
}

func listPages(t *testing.T, s objstore.Store) {
	var want []string
	for i := range 25 {
		key := fmt.Sprintf("p/%d/%02d", i/10, i)
		mustPut(t, s, key, nil)
		want = append(want, key)
	}
	var got []string
	for after, pages := "", 0; ; pages++ {
		found, err := s.List(t.Context(), "p/", after, 7)
		if err != nil || pages > 5 {
			t.Fatal(err, pages)
		}
		got = append(got, keysOf(found)...)
		if len(found) < 7 {
			break
		}
		after = found[len(found)-1].Key
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

func deleteObject(t *testing.T, s objstore.Store) {
	mustPut(t, s, "d/one/two", []byte("x"))
	mustPut(t, s, "d/three", []byte("x"))
	for range 2 {
		if err := s.Delete(t.Context(), "d/one/two"); err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.Stat(t.Context(), "d/one/two")
	wantIs(t, "stat after delete", err, objstore.ErrNotFound)
	if got := mustGet(t, s, "d/three", objstore.Range{}); string(got) != "x" {
		t.Errorf("neighbour: %q", got)
	}
	mustPut(t, s, "d/one/two", []byte("again"))
	if got := mustGet(t, s, "d/one/two", objstore.Range{}); string(got) != "again" {
		t.Errorf("after delete and put: %q", got)
	}
}

func oddKeys(t *testing.T, s objstore.Store) {
	for _, key := range []string{
		"", "/", "/a", "a/", "a//b", ".", "..", "../a", "a/..", "a/../b", "a/./b", "a/.hidden",
		"a\x00b", "a\nb", "a\x7fb", "a b", "a%2e", "a\\b", "a@", "ä", "a\xffb", "a?b", "a#b", "a:b",
		strings.Repeat("a", 201), strings.Repeat("a/", 256) + "b",
	} {
		_, err := s.Put(t.Context(), key, strings.NewReader(""), objstore.PutOptions{Size: 0})
		wantIs(t, fmt.Sprintf("put %q", key), err, objstore.ErrKey)
		_, _, err = s.Get(t.Context(), key, objstore.Range{})
		wantIs(t, fmt.Sprintf("get %q", key), err, objstore.ErrKey)
		_, err = s.Stat(t.Context(), key)
		wantIs(t, fmt.Sprintf("stat %q", key), err, objstore.ErrKey)
		wantIs(t, fmt.Sprintf("delete %q", key), s.Delete(t.Context(), key), objstore.ErrKey)
		_, err = s.SignGet(t.Context(), key, 0)
		wantIs(t, fmt.Sprintf("sign get %q", key), err, objstore.ErrKey)
		_, err = s.SignPut(t.Context(), key, objstore.SignPutOptions{SHA256: sum(nil)})
		wantIs(t, fmt.Sprintf("sign put %q", key), err, objstore.ErrKey)
	}
	for _, prefix := range []string{"..", "/", "a//", "a b"} {
		_, err := s.List(t.Context(), prefix, "", 0)
		wantIs(t, fmt.Sprintf("list %q", prefix), err, objstore.ErrKey)
	}
	long := strings.Repeat("a", 200) + "/" + strings.Repeat("b", 200) + "/" + strings.Repeat("c", 110)
	mustPut(t, s, long, []byte("long"))
	wantNothingBut(t, s, long)
}

func wantNothingBut(t *testing.T, s objstore.Store, key string) {
	t.Helper()
	found, err := s.List(t.Context(), "", "", 0)
	if err != nil || !slices.Equal(keysOf(found), []string{key}) {
		t.Errorf("store holds %v (%v)", keysOf(found), err)
	}
}
