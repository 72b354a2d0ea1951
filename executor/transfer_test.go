package executor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/schemas"
)

const secret = "X-Amz-Signature=verysecret"

func digestOf(content []byte) string {
	sum := sha256.Sum256(content)
	return schemas.Digest(sum[:])
}

// store answers requests one after the other, the last answer for all that follow.
type store struct {
	*httptest.Server
	mu      sync.Mutex
	asked   int
	answers []http.HandlerFunc
}

func newStore(t *testing.T, answers ...http.HandlerFunc) *store {
	t.Helper()
	s := &store{answers: answers}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		answer := s.answers[min(s.asked, len(s.answers)-1)]
		s.asked++
		s.mu.Unlock()
		answer(w, r)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *store) requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (s *store) signed(method string) schemas.SignedRequest {
	return schemas.SignedRequest{Method: method, URL: s.URL + "/key?" + secret, Header: http.Header{"x-signed": {"yes"}}}
}

func status(code int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code)
		_, _ = io.WriteString(w, body)
	}
}

func sends(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Signed") != "yes" {
			http.Error(w, "header is missing", http.StatusForbidden)
			return
		}
		_, _ = w.Write(content)
	}
}

// breaks sends half of the content and cuts the connection.
func breaks(content []byte) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(len(content)))
		_, _ = w.Write(content[:len(content)/2])
		w.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
}

// cuts takes the request and never answers.
func cuts(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	panic(http.ErrAbortHandler)
}

// quickTries are those of quick transfers.
const quickTries = 5

func quick(client *http.Client) *transfer {
	tr := newTransfer(client)
	tr.patience = patience{tries: quickTries, pause: time.Millisecond}
	return tr
}

func TestGet(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("content "), 10_000)
	other := bytes.Repeat([]byte("CONTENT "), 10_000)
	for name, tc := range map[string]struct {
		answers  []http.HandlerFunc
		requests int
		want     error // nil for success
	}{
		"at once":           {[]http.HandlerFunc{sends(content)}, 1, nil},
		"after 503 and 500": {[]http.HandlerFunc{status(503, ""), status(500, ""), sends(content)}, 3, nil},
		"after 429":         {[]http.HandlerFunc{status(429, ""), sends(content)}, 2, nil},
		"after a break":     {[]http.HandlerFunc{breaks(content), sends(content)}, 2, nil},
		"wrong digest once": {[]http.HandlerFunc{sends(other), sends(content)}, 2, nil},
		"wrong digest":      {[]http.HandlerFunc{sends(other)}, maxMismatches, errNotAsSaid},
		"too long":          {[]http.HandlerFunc{sends(append(content[:len(content):len(content)], 'x'))}, 1, errNotAsSaid},
		"too short":         {[]http.HandlerFunc{sends(content[1:])}, 1, errNotAsSaid},
		"gone":              {[]http.HandlerFunc{status(404, "<Error><Code>NoSuchKey</Code></Error>")}, 1, errNotAsSaid},
		"refused":           {[]http.HandlerFunc{status(403, "<Error><Code>AccessDenied</Code><StringToSign>"+secret+"</StringToSign></Error>")}, 1, errForbidden},
		"bad request":       {[]http.HandlerFunc{status(400, secret)}, 1, errFinal},
		"always away":       {[]http.HandlerFunc{status(503, secret)}, quickTries, errors.ErrUnsupported},
		"a redirect": {[]http.HandlerFunc{func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere?"+secret, http.StatusTemporaryRedirect)
		}}, 1, errFinal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, tc.answers...)
			file := tempFile(t)
			err := quick(s.Client()).get(t.Context(), s.signed(http.MethodGet), int64(len(content)), digestOf(content), file)
			if s.requests() != tc.requests {
				t.Errorf("%d requests, want %d", s.requests(), tc.requests)
			}
			switch {
			case tc.want == nil && err == nil:
				if got, err := os.ReadFile(file.Name()); err != nil || !bytes.Equal(got, content) {
					t.Errorf("%d bytes arrived, %v", len(got), err)
				}
			case tc.want == nil || err == nil, tc.want != errors.ErrUnsupported && !errors.Is(err, tc.want):
				t.Errorf("error %v, want %v", err, tc.want)
			default:
				checkSecret(t, err)
			}
		})
	}
}

func checkSecret(t *testing.T, err error) {
	t.Helper()
	if text := err.Error(); strings.Contains(text, "verysecret") || strings.Contains(text, "http:") {
		t.Errorf("error holds what was signed: %v", err)
	}
}

func tempFile(t *testing.T) *os.File {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "file"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func TestPut(t *testing.T) {
	t.Parallel()
	content := bytes.Repeat([]byte("content "), 10_000)
	takes := func(w http.ResponseWriter, r *http.Request) {
		got, err := io.ReadAll(r.Body)
		if err != nil || !bytes.Equal(got, content) || r.ContentLength != int64(len(content)) || r.Header.Get("X-Signed") != "yes" {
			http.Error(w, "not what was sent", http.StatusBadRequest)
		}
	}
	for name, tc := range map[string]struct {
		answers  []http.HandlerFunc
		requests int
		ok       bool
	}{
		"at once":               {[]http.HandlerFunc{takes}, 1, true},
		"after 500 and 409":     {[]http.HandlerFunc{status(500, ""), status(409, ""), takes}, 3, true},
		"there already":         {[]http.HandlerFunc{status(412, "")}, 1, true},
		"there after a break":   {[]http.HandlerFunc{cuts, status(412, "")}, 2, true},
		"refused":               {[]http.HandlerFunc{status(400, "<Code>BadDigest</Code>"+secret)}, 1, false},
		"an expired signature":  {[]http.HandlerFunc{status(403, secret)}, 1, false},
		"too large for a store": {[]http.HandlerFunc{status(413, secret)}, 1, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, tc.answers...)
			err := quick(s.Client()).put(t.Context(), s.signed(http.MethodPut), bytes.NewReader(content), int64(len(content)))
			if (err == nil) != tc.ok || s.requests() != tc.requests {
				t.Errorf("error %v after %d requests, want %d", err, s.requests(), tc.requests)
			}
			if err != nil {
				checkSecret(t, err)
			}
		})
	}
}

func TestErrorsHoldNoURL(t *testing.T) {
	t.Parallel()
	tr := quick(http.DefaultClient)
	tr.patience.tries = 2
	for _, url := range []string{"http://127.0.0.1:1/key?" + secret, "http://[::1/key?" + secret, "gopher://x/?" + secret, "\x7f" + secret} {
		err := tr.get(t.Context(), schemas.SignedRequest{Method: http.MethodGet, URL: url}, 1, "", tempFile(t))
		if err == nil {
			t.Fatalf("%q gave an object", url)
		}
		checkSecret(t, err)
	}
}

func TestStalledTransferEnds(t *testing.T) {
	t.Parallel()
	hang := make(chan struct{})
	defer close(hang)
	s := newStore(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = w.Write([]byte("a beginning"))
		w.(http.Flusher).Flush()
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	})
	tr := quick(s.Client())
	tr.patience.tries, tr.stall = 2, 50*time.Millisecond
	err := tr.get(t.Context(), s.signed(http.MethodGet), 100, "", tempFile(t))
	if !errors.Is(err, errStalled) || s.requests() != 2 {
		t.Errorf("error %v after %d requests", err, s.requests())
	}
	checkSecret(t, err)
}

func TestTransferEndsWithItsAttempt(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancelCause(t.Context())
	why := &stopped{"cancelled"}
	s := newStore(t, func(http.ResponseWriter, *http.Request) { cancel(why); panic(http.ErrAbortHandler) })
	tr := newTransfer(s.Client())
	tr.patience.pause = time.Hour
	away := false
	tr.store.turned = func(bool) { away = true }
	err := tr.get(ctx, s.signed(http.MethodGet), 1, "", tempFile(t))
	if !errors.Is(err, why) || s.requests() != 1 {
		t.Errorf("error %v after %d requests", err, s.requests())
	}
	if away {
		t.Error("the store is said to be away")
	}
}

func TestPauses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begin, failure := time.Now(), errors.New("broken")
		var at []time.Duration
		err := patience{tries: 4, pause: time.Second}.retry(t.Context(), func() error {
			at = append(at, time.Since(begin))
			return failure
		})
		if err != failure || fmt.Sprint(at) != "[0s 1s 3s 7s]" {
			t.Errorf("tried at %v, %v", at, err)
		}
		begin, at = time.Now(), nil
		err = patience{pause: time.Second, most: 3 * time.Second, within: 10 * time.Second}.retry(t.Context(), func() error {
			at = append(at, time.Since(begin))
			return failure
		})
		if err != failure || fmt.Sprint(at) != "[0s 1s 3s 6s 9s]" {
			t.Errorf("tried at %v, %v", at, err)
		}
	})
}
