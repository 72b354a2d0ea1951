package api

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/program-explorer/pe/schemas"
)

// TestUploadsOfATenantAreCounted: so many are under way at once, of each; what is
// there already is none.
func TestUploadsOfATenantAreCounted(t *testing.T) {
	t.Parallel()
	h := start(t)
	sum := strings.TrimPrefix(objectOf("", []byte("content")).SHA256, "sha256:")
	ask[schemas.Blob](t, h, http.StatusCreated, "PUT", "/v1/blobs/"+sum, "content")
	for range maxUploads {
		done, err := h.api.uploads.begin(http.Header{}, schemas.SingleTenant)
		if err != nil {
			t.Fatal(err)
		}
		defer done()
	}
	other := "/v1/blobs/" + strings.Repeat("0", 64)
	h.refused(t, kindTooManyUploads, "PUT", other, "x")
	if after := h.request(t, "PUT", other, "x").Header.Get("Retry-After"); after == "" {
		t.Error("no Retry-After")
	}
	ask[schemas.Blob](t, h, http.StatusOK, "PUT", "/v1/blobs/"+sum, "content")
	done, err := h.api.uploads.begin(http.Header{}, "bob")
	if err != nil {
		t.Fatalf("another tenant: %v", err)
	}
	done()
}

// dripping gives so much at once, each time after a pause.
type dripping struct {
	piece int
	pause time.Duration
	left  int
}

func (d *dripping) Read(p []byte) (int, error) {
	if d.left == 0 {
		return 0, io.EOF
	}
	time.Sleep(d.pause)
	n := min(d.piece, d.left, len(p))
	d.left -= n
	return n, nil
}

func TestBodiesThatDripAreDropped(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body dripping
		slow bool
	}{
		"a byte now and then": {dripping{1, 29 * time.Second, 1000}, true},
		"half the rate":       {dripping{minRate / 2, time.Second, 100 * minRate}, true},
		"the rate":            {dripping{minRate, time.Second, 100 * minRate}, false},
		"little, and done":    {dripping{1, 9 * time.Second, 3}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				begun := time.Now()
				_, err := io.Copy(io.Discard, struct{ io.Reader }{newSteadyReader(httptest.NewRecorder(), &c.body, 30*time.Second)})
				var p *schemas.ProblemDocument
				if slow := errors.As(err, &p) && p.Status == http.StatusRequestTimeout; slow != c.slow || !slow && err != nil || slow && time.Since(begun) > time.Minute+time.Second {
					t.Errorf("after %s: %v", time.Since(begun), err)
				}
			})
		})
	}
}

// TestASlowUploadIsToldSo: the client hears why, before it has sent all.
func TestASlowUploadIsToldSo(t *testing.T) {
	t.Parallel()
	h := start(t, func(c *Config) { c.StallTimeout = 100 * time.Millisecond })
	conn, err := net.Dial("tcp", strings.TrimPrefix(h.url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /v1/blobs/%064d HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n", 0)
	stop := make(chan struct{})
	defer close(stop)
	go func() {
		for tick := time.Tick(20 * time.Millisecond); ; {
			select {
			case <-tick:
				conn.Write([]byte("x"))
			case <-stop:
				return
			}
		}
	}()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusRequestTimeout || h.jobs.storedOf(schemas.SingleTenant) != 0 {
		t.Errorf("%s, %d stored", resp.Status, h.jobs.storedOf(schemas.SingleTenant))
	}
}
