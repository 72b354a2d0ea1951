package s3tap_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/e2e/chaos/s3tap"
)

func TestFates(t *testing.T) {
	t.Parallel()
	var carriedOut atomic.Int64
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		carriedOut.Add(1)
		body, _ := io.ReadAll(r.Body)
		io.WriteString(w, r.Host+" "+string(body))
	}))
	defer service.Close()
	for name, c := range map[string]struct {
		fate    s3tap.Fate
		status  int // 0: no answer
		arrives int64
	}{
		"pass":   {s3tap.Fate{}, 200, 1},
		"refuse": {s3tap.Fate{Status: 503}, 503, 0},
		"cut":    {s3tap.Fate{Cut: true}, 0, 0},
		"lose":   {s3tap.Fate{Lose: true}, 0, 1},
	} {
		t.Run(name, func(t *testing.T) {
			carriedOut.Store(0)
			var asked s3tap.Request
			tap, err := s3tap.Start(strings.TrimPrefix(service.URL, "http://"), func(r s3tap.Request) s3tap.Fate { asked = r; return c.fate })
			if err != nil {
				t.Fatal(err)
			}
			defer tap.Close()
			// A PUT of a stream is never sent twice by the client itself.
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, "http://"+tap.Addr()+"/bucket/a/b?X-Amz-Signature=x", io.MultiReader(strings.NewReader("body")))
			if err != nil {
				t.Fatal(err)
			}
			resp, err := http.DefaultClient.Do(req)
			status := 0
			if err == nil {
				status = resp.StatusCode
				body, _ := io.ReadAll(resp.Body)
				resp.Body.Close()
				if want := tap.Addr() + " body"; status == 200 && string(body) != want {
					t.Errorf("answer %q, want %q", body, want)
				}
			}
			if status != c.status || carriedOut.Load() != c.arrives {
				t.Errorf("status %d (%v), carried out %d times; want %d, %d", status, err, carriedOut.Load(), c.status, c.arrives)
			}
			if want := (s3tap.Request{Method: "PUT", Key: "a/b", Signed: true}); asked != want {
				t.Errorf("asked %+v, want %+v", asked, want)
			}
		})
	}
}
