package objstoretest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/objstore"
)

// do sends a signed request as an executor would. A transport's error counts as
// status 0: a server may cut the line when a body breaks its promise.
func do(t *testing.T, r objstore.SignedRequest, body io.Reader, change func(*http.Request)) (int, []byte, http.Header) {
	t.Helper()
	req, err := r.NewRequest(t.Context(), body)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(req)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Logf("request broke off: %v", err)
		return 0, nil, nil
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, b, res.Header
}

func mustSignPut(t *testing.T, s objstore.Store, key string, b []byte, ifAbsent bool) objstore.SignedRequest {
	t.Helper()
	r, err := s.SignPut(t.Context(), key, objstore.SignPutOptions{Size: int64(len(b)), SHA256: sum(b), IfAbsent: ifAbsent})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func wantStatus(t *testing.T, what string, got int, want ...int) {
	t.Helper()
	for _, w := range want {
		if got == w {
			return
		}
	}
	t.Errorf("%s: status %d, want %v", what, got, want)
}

func signedPut(t *testing.T, s objstore.Store) {
	b := noise(200_000)
	r := mustSignPut(t, s, "signed/put", b, true)
	status, answer, _ := do(t, r, bytes.NewReader(b), nil)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	info, err := s.Stat(t.Context(), "signed/put")
	if err != nil || info.Size != int64(len(b)) || info.SHA256 != sum(b) {
		t.Errorf("stat: %+v, %v", info, err)
	}
	if got := mustGet(t, s, "signed/put", objstore.Range{}); !bytes.Equal(got, b) {
		t.Error("content differs")
	}
}

func signedPutEmpty(t *testing.T, s objstore.Store) {
	r := mustSignPut(t, s, "signed/empty", nil, true)
	status, answer, _ := do(t, r, strings.NewReader(""), nil)
	if status != http.StatusOK {
		t.Fatalf("status %d: %s", status, answer)
	}
	if info, err := s.Stat(t.Context(), "signed/empty"); err != nil || info.Size != 0 {
		t.Errorf("stat: %+v, %v", info, err)
	}
}

func signedPutRefused(t *testing.T, s objstore.Store) {
	b := []byte("the content that was signed")
	for _, c := range []struct {
		name   string
		body   string
		length int64
	}{
		{"wrong content", "the content that was forged", 27},
		{"shorter", "the content", 11},
		{"longer", string(b) + "!", 28},
		{"empty", "", 0},
	} {
		r := mustSignPut(t, s, "signed/refused", b, true)
		status, _, _ := do(t, r, strings.NewReader(c.body), func(req *http.Request) {
			if req.ContentLength = c.length; c.length == 0 {
				req.Body = http.NoBody
			}
		})
		if status == 0 || status/100 == 2 {
			t.Errorf("%s: status %d", c.name, status)
		}
	}
	wantNothing(t, s)
}

func signedPutIfAbsent(t *testing.T, s objstore.Store) {
	first, second := []byte("first"), []byte("second")
	a, b := mustSignPut(t, s, "signed/once", first, true), mustSignPut(t, s, "signed/once", second, true)
	status, _, _ := do(t, a, bytes.NewReader(first), nil)
	wantStatus(t, "first", status, http.StatusOK)
	status, _, _ = do(t, b, bytes.NewReader(second), nil)
	wantStatus(t, "second", status, http.StatusPreconditionFailed)
	status, _, _ = do(t, a, bytes.NewReader(first), nil)
	wantStatus(t, "the same again", status, http.StatusPreconditionFailed)
	if got := mustGet(t, s, "signed/once", objstore.Range{}); !bytes.Equal(got, first) {
		t.Errorf("got %q", got)
	}
	free := mustSignPut(t, s, "signed/once", second, false)
	status, _, _ = do(t, free, bytes.NewReader(second), nil)
	wantStatus(t, "unconditional", status, http.StatusOK)
}

// signedPutBrokenOff: a body that ends before its length leaves nothing.
func signedPutBrokenOff(t *testing.T, s objstore.Store) {
	b := noise(500_000)
	r := mustSignPut(t, s, "signed/broken", b, false)
	status, _, _ := do(t, r, io.LimitReader(bytes.NewReader(b), 300_000), nil)
	if status/100 == 2 {
		t.Errorf("status %d for a body that broke off", status)
	}
	_, err := s.Stat(t.Context(), "signed/broken")
	wantIs(t, "stat", err, objstore.ErrNotFound)
	wantNothing(t, s)
}

func signedGet(t *testing.T, s objstore.Store) {
	b := noise(100_000)
	mustPut(t, s, "signed/get", b)
	r, err := s.SignGet(t.Context(), "signed/get", time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	status, got, _ := do(t, r, nil, nil)
	if status != http.StatusOK || !bytes.Equal(got, b) {
		t.Errorf("status %d, %d bytes", status, len(got))
	}
	status, got, h := do(t, r, nil, func(req *http.Request) { req.Header.Set("Range", "bytes=1000-1999") })
	if status != http.StatusPartialContent || !bytes.Equal(got, b[1000:2000]) || h.Get("Content-Range") != "bytes 1000-1999/100000" {
		t.Errorf("range: status %d, %d bytes, %v", status, len(got), h)
	}
	if r, err = s.SignGet(t.Context(), "signed/absent", 0); err != nil {
		t.Fatal(err)
	}
	status, _, _ = do(t, r, nil, nil)
	wantStatus(t, "absent", status, http.StatusNotFound)
}

// signedTampered: a URL is good for its own method, key and conditions only.
func signedTampered(t *testing.T, s objstore.Store) {
	mustPut(t, s, "a/secret", []byte("secret"))
	mustPut(t, s, "a/public", []byte("public"))
	get, err := s.SignGet(t.Context(), "a/public", 0)
	if err != nil {
		t.Fatal(err)
	}
	other := get
	other.URL = strings.Replace(get.URL, "a/public", "a/secret", 1)
	status, body, _ := do(t, other, nil, nil)
	wantStatus(t, "other key", status, http.StatusForbidden)
	if bytes.Contains(body, []byte("secret\n")) {
		t.Error("the other object came")
	}
	put := objstore.SignedRequest{Method: http.MethodPut, URL: get.URL, Header: http.Header{"Content-Length": {"3"}}}
	status, _, _ = do(t, put, strings.NewReader("new"), nil)
	wantStatus(t, "put with a get's URL", status, http.StatusForbidden, http.StatusBadRequest)
	bare, _, _ := strings.Cut(get.URL, "?")
	status, _, _ = do(t, objstore.SignedRequest{Method: http.MethodGet, URL: bare}, nil, nil)
	wantStatus(t, "no signature", status, http.StatusForbidden)
	if got := mustGet(t, s, "a/public", objstore.Range{}); string(got) != "public" {
		t.Errorf("object is now %q", got)
	}
}

// signedExpires waits for the real clock: that of a server process can't be turned.
func signedExpires(t *testing.T, s objstore.Store) {
	mustPut(t, s, "signed/short", []byte("x"))
	get, err := s.SignGet(t.Context(), "signed/short", 2*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	b := []byte("late")
	put, err := s.SignPut(t.Context(), "signed/late", objstore.SignPutOptions{Size: 4, SHA256: sum(b), Expires: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	status, _, _ := do(t, get, nil, nil)
	wantStatus(t, "fresh", status, http.StatusOK)
	deadline := time.Now().Add(15 * time.Second)
	for status == http.StatusOK && time.Now().Before(deadline) {
		<-time.After(100 * time.Millisecond)
		status, _, _ = do(t, get, nil, nil)
	}
	wantStatus(t, "expired get", status, http.StatusForbidden)
	status, _, _ = do(t, put, bytes.NewReader(b), nil)
	wantStatus(t, "expired put", status, http.StatusForbidden)
	_, err = s.Stat(t.Context(), "signed/late")
	wantIs(t, "stat", err, objstore.ErrNotFound)
}

func signLimits(t *testing.T, s objstore.Store) {
	for _, d := range []time.Duration{-1, time.Millisecond, objstore.MaxSignExpiry + time.Second} {
		_, err := s.SignGet(t.Context(), "a", d)
		wantIs(t, fmt.Sprint("get for ", d), err, objstore.ErrOptions)
		_, err = s.SignPut(t.Context(), "a", objstore.SignPutOptions{SHA256: sum(nil), Expires: d})
		wantIs(t, fmt.Sprint("put for ", d), err, objstore.ErrOptions)
	}
	_, err := s.SignPut(t.Context(), "a", objstore.SignPutOptions{Size: 1})
	wantIs(t, "no digest", err, objstore.ErrOptions)
	_, err = s.SignPut(t.Context(), "a", objstore.SignPutOptions{Size: -1, SHA256: sum(nil)})
	wantIs(t, "no size", err, objstore.ErrOptions)
	_, err = s.SignPut(t.Context(), "a", objstore.SignPutOptions{Size: objstore.MaxObjectSize + 1, SHA256: sum(nil)})
	wantIs(t, "too large", err, objstore.ErrSize)
	r := mustSignPut(t, s, "a/b", []byte("x"), true)
	for _, text := range []string{fmt.Sprint(r), fmt.Sprintf("%+v", r), fmt.Sprintf("%#v", r), r.LogValue().String()} {
		if strings.Contains(strings.ToLower(text), "signature") || !strings.Contains(text, "a/b") {
			t.Errorf("printed as %s", text)
		}
	}
}
