package dir

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
)

func sampleTrailer(t testing.TB) []byte {
	b, err := encodeTrailer(objstore.Info{Size: 5, SHA256: strings.Repeat("ab", 32), ContentType: "text/plain"})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func FuzzDecodeTrailer(f *testing.F) {
	f.Add(sampleTrailer(f))
	f.Add(make([]byte, trailerSize))
	f.Fuzz(func(t *testing.T, b []byte) {
		info, err := decodeTrailer(b)
		if err != nil {
			return
		}
		again, err := encodeTrailer(info)
		if err != nil || !bytes.Equal(again[:49], b[:49]) {
			t.Fatalf("%+v: %v", info, err)
		}
	})
}

// No query that was not signed is ever granted.
func FuzzVerify(f *testing.F) {
	s := &Store{key: []byte("key"), now: func() time.Time { return time.Unix(1000, 0) }}
	g := grant{method: http.MethodPut, key: "a/b", expires: 1100, size: 3, sha256: strings.Repeat("0", 64), ifAbsent: true}
	q := g.query()
	q.Set(paramMAC, g.mac(s.key))
	f.Add("PUT", "a/b", q.Encode())
	f.Add("GET", "a/b", q.Encode())
	f.Add("PUT", "a/b", "pe-expires=99999&pe-size=3&pe-signature=00")
	f.Fuzz(func(t *testing.T, method, key, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return
		}
		got, err := s.verify(method, key, values)
		if err == nil && got != g {
			t.Fatalf("granted %+v", got)
		}
	})
}
