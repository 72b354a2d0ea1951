package imagesync_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/program-explorer/pe/imagesync"
)

func parseFile[T any](t *testing.T, path string, parse func(io.Reader) (*T, error)) *T {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	v, err := parse(file)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestInternalAddresses: references that lead to what only this machine's
// network should reach are refused, without a packet.
func TestInternalAddresses(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached.Store(true) }))
	t.Cleanup(server.Close)
	loopback := strings.TrimPrefix(server.URL, "http://")
	for _, reference := range []string{
		loopback + "/x:1", "localhost:" + loopback[strings.LastIndex(loopback, ":")+1:] + "/x:1", "[::1]:5000/x:1",
		"10.0.0.1/x:1", "192.168.1.1:5000/x:1", "169.254.169.254/latest/meta-data:1", "100.64.0.1/x:1", "0.0.0.0:5000/x:1",
		"[fd00::1]:5000/x:1", "[::ffff:10.0.0.1]:443/x:1", "2130706433:5000/x:1",
	} {
		_, err := imagesync.NewResolver(imagesync.ResolverConfig{}).Resolve(t.Context(), reference)
		if err == nil {
			t.Errorf("%s was resolved", reference)
		}
		if !errors.Is(err, imagesync.ErrRefused) && !errors.Is(err, imagesync.ErrInvalid) && !errors.Is(err, imagesync.ErrUnreachable) {
			t.Errorf("%s: %v", reference, err)
		}
	}
	if reached.Load() {
		t.Error("a server on loopback was reached")
	}
}

// TestDetours: a loopback registry, allowed, that sends us elsewhere by a
// redirect or by the realm of its tokens.
func TestDetours(t *testing.T) {
	t.Parallel()
	for name, detour := range map[string]http.HandlerFunc{
		"redirect to a private address": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://10.1.2.3/secret", http.StatusTemporaryRedirect)
		},
		"redirect to plain HTTP": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://192.0.2.1/", http.StatusTemporaryRedirect)
		},
		"token realm at a private address": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://169.254.169.254/token",service="x"`)
			w.WriteHeader(http.StatusUnauthorized)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(detour)
			t.Cleanup(server.Close)
			reference := strings.TrimPrefix(server.URL, "http://") + "/x:1"
			_, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: local}).Resolve(t.Context(), reference)
			// The client library refuses some of it by itself, as invalid.
			if !errors.Is(err, imagesync.ErrRefused) && !errors.Is(err, imagesync.ErrInvalid) {
				t.Errorf("got %v, want it refused", err)
			}
		})
	}
}

func TestPathsNeedPermission(t *testing.T) {
	t.Parallel()
	reference := twoPlatforms(t, "paths")
	digest := resolve(t, reference).Digest
	strict := imagesync.Sources{}
	if _, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: strict}).Resolve(t.Context(), reference); !errors.Is(err, imagesync.ErrRefused) {
		t.Errorf("resolve: %v", err)
	}
	c := openCache(t, func(config *imagesync.CacheConfig) { config.Sources = strict })
	if _, err := c.Get(t.Context(), reference, digest, "amd64"); !errors.Is(err, imagesync.ErrRefused) {
		t.Errorf("get: %v", err)
	}
	catalog, err := imagesync.ParseCatalog([]byte("only: true\nimages:\n  tool:\n    reference: "+reference+"\n"), "/")
	if err != nil {
		t.Fatal(err)
	}
	strict.Catalog = catalog
	resolver := imagesync.NewResolver(imagesync.ResolverConfig{Sources: strict})
	for _, allowed := range []string{"tool", reference} {
		if _, err := resolver.Resolve(t.Context(), allowed); err != nil {
			t.Errorf("%s: %v", allowed, err)
		}
	}
	for _, refused := range []string{"gcc:14", "oci:/etc", "other"} {
		if _, err := resolver.Resolve(t.Context(), refused); !errors.Is(err, imagesync.ErrRefused) {
			t.Errorf("%s: %v", refused, err)
		}
	}
}
