package roles

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/jobqueue/queuetest"
	"github.com/program-explorer/pe/internal/objstore/dir"
)

// TestCapOfStoredBytesIsReadAgain: a gateway with a tenants file refuses an
// upload over the cap, and takes it once the file allows it.
func TestCapOfStoredBytesIsReadAgain(t *testing.T) {
	t.Parallel()
	store, err := dir.Open(dir.Config{Path: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	tenants := filepath.Join(t.TempDir(), "tenants.yaml")
	allow := func(size string) {
		t.Helper()
		if err := os.WriteFile(tenants, []byte("local: {max-stored: "+size+"}"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	allow("4B")
	g, err := NewGateway(t.Context(), GatewayConfig{
		Listen: "127.0.0.1:0", Queue: queuetest.Start(t).Gateway(t, nil), Store: store, Jobs: JobsConfig{TenantsFile: tenants},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	// The SHA-256 of "12345".
	const blob = "/v1/blobs/5994471abb01112afcc18159f6cc74b4f511b99806da59b3caf5a9c173cacfc5"
	put := func() int {
		req, err := http.NewRequestWithContext(t.Context(), "PUT", g.URL()+blob, strings.NewReader("12345"))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if status := put(); status != http.StatusTooManyRequests {
		t.Errorf("5 bytes of 4 are answered %d", status)
	}
	allow("5B")
	status := 0
	for deadline := time.Now().Add(time.Minute); status != http.StatusCreated && time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		status = put()
	}
	if status != http.StatusCreated {
		t.Errorf("5 bytes of 5 are answered %d", status)
	}
}
