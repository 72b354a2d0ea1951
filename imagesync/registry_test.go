package imagesync_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-containerregistry/pkg/authn"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/program-explorer/pe/imagesync"
	"github.com/program-explorer/pe/imagesync/imagetest"
)

func sha256Hex(raw []byte) string {
	sum := sha256.Sum256(raw)
	return hex.EncodeToString(sum[:])
}

// stallBlobs calls stall at the download of any blob above the size of a configuration.
func stallBlobs(stall func()) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodGet && strings.Contains(r.URL.Path, "/blobs/") {
				answer := httptest.NewRecorder()
				next.ServeHTTP(answer, r)
				if answer.Body.Len() > 900 {
					w.Header().Set("Content-Length", fmt.Sprint(answer.Body.Len()))
					w.Write(answer.Body.Bytes()[:100])
					w.(http.Flusher).Flush()
					stall()
				}
				w.Write(answer.Body.Bytes())
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func simpleIndex(t *testing.T, body string) v1.ImageIndex {
	return imagetest.Index(t, imagetest.Image(t, "amd64", v1.Config{Cmd: []string{"sh"}}, imagetest.Tar(t, entry{Name: "f", Body: body})))
}

func TestRegistry(t *testing.T) {
	t.Parallel()
	var requests atomic.Int32
	host := imagetest.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			next.ServeHTTP(w, r)
		})
	})
	reference := host + "/library/tool:1"
	digest := imagetest.Push(t, reference, simpleIndex(t, "registry"))
	resolver := imagesync.NewResolver(imagesync.ResolverConfig{Sources: local})
	resolved, err := resolver.Resolve(t.Context(), reference)
	if err != nil {
		t.Fatal(err)
	}
	if resolved.Digest != digest || resolved.Reference != reference {
		t.Errorf("resolved %+v, want %s", resolved, digest)
	}
	before := requests.Load()
	if _, err := resolver.Resolve(t.Context(), reference); err != nil || requests.Load() != before {
		t.Errorf("a second resolution asked the registry %d times, %v", requests.Load()-before, err)
	}
	c := openCache(t, nil)
	image, err := c.Get(t.Context(), resolved.Reference, resolved.Digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	image.Release()
	before = requests.Load()
	again, err := c.Get(t.Context(), host+"/library/tool@"+digest, digest, "amd64")
	if err != nil || requests.Load() != before {
		t.Fatalf("a cached image asked the registry %d times, %v", requests.Load()-before, err)
	}
	again.Release()
}

func TestRegistryFailures(t *testing.T) {
	t.Parallel()
	host := imagetest.Registry(t, nil)
	imagetest.Push(t, host+"/there:1", simpleIndex(t, "x"))
	answer := func(status int) string {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/v2/" && status != http.StatusUnauthorized {
				return
			}
			if status == http.StatusUnauthorized {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
			}
			http.Error(w, `{"errors":[{"code":"DENIED","message":"the registry says no"}]}`, status)
		}))
		t.Cleanup(server.Close)
		return strings.TrimPrefix(server.URL, "http://")
	}
	gone := httptest.NewServer(nil)
	gone.Close()
	for _, test := range []struct {
		name, reference string
		kind            error
		text            string
	}{
		{"unknown tag", host + "/there:2", imagesync.ErrNotFound, "MANIFEST_UNKNOWN"},
		{"unknown repository", host + "/nowhere:1", imagesync.ErrNotFound, "NAME_UNKNOWN"},
		{"unauthorised", answer(401) + "/x:1", imagesync.ErrUnauthorised, "the registry says no"},
		{"forbidden", answer(403) + "/x:1", imagesync.ErrUnauthorised, "the registry says no"},
		{"rate limit", answer(429) + "/x:1", imagesync.ErrUnreachable, "the registry says no"},
		{"nobody listens", strings.TrimPrefix(gone.URL, "http://") + "/x:1", imagesync.ErrUnreachable, "refused"},
		{"malformed", "UPPER CASE", imagesync.ErrInvalid, "could not parse"},
		{"no such layout", "oci:/nowhere/at/all", imagesync.ErrNotFound, "no such file"},
		{"relative path", "oci:etc", imagesync.ErrInvalid, "absolute"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := imagesync.NewResolver(imagesync.ResolverConfig{Sources: local}).Resolve(t.Context(), test.reference)
			var typed *imagesync.Error
			if !errors.Is(err, test.kind) || !errors.As(err, &typed) {
				t.Fatalf("got %v, want %v", err, test.kind)
			}
			if !strings.Contains(err.Error(), test.text) || !strings.Contains(err.Error(), test.reference) {
				t.Errorf("%q names not %q and the reference", err, test.text)
			}
			if typed.Retryable() != (test.kind == imagesync.ErrUnreachable) {
				t.Errorf("retryable: %v", typed.Retryable())
			}
		})
	}
}

// TestTamperedBlobs: a registry that sends other bytes than it promised.
func TestTamperedBlobs(t *testing.T) {
	t.Parallel()
	for name, tamper := range map[string]func(body []byte) []byte{
		"changed":   func(b []byte) []byte { b[len(b)-9] ^= 1; return b },
		"longer":    func(b []byte) []byte { return append(b, 0) },
		"truncated": func(b []byte) []byte { return b[:len(b)/2] },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			host := imagetest.Registry(t, func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					answer := httptest.NewRecorder()
					next.ServeHTTP(answer, r)
					body := answer.Body.Bytes()
					if r.Method == http.MethodGet && bytes.HasPrefix(body, []byte{0x1f, 0x8b}) {
						w.Write(tamper(body))
						return
					}
					for key, values := range answer.Header() {
						w.Header()[key] = values
					}
					w.WriteHeader(answer.Code)
					w.Write(body)
				})
			})
			digest := imagetest.Push(t, host+"/x:1", simpleIndex(t, strings.Repeat("tamper ", 999)))
			c := openCache(t, nil)
			_, err := c.Get(t.Context(), host+"/x:1", digest, "amd64")
			var typed *imagesync.Error
			if !errors.As(err, &typed) {
				t.Errorf("got %v", err)
			}
			if list, _ := c.List(); len(list) != 0 {
				t.Errorf("the cache has %+v", list)
			}
		})
	}
}

// TestWrongDiffID: the layer is as its digest says, but not as the configuration says.
func TestWrongDiffID(t *testing.T) {
	t.Parallel()
	reference := twoPlatforms(t, "diffid")
	resolved := resolve(t, reference)
	dir := strings.TrimPrefix(reference, "oci:")
	rewriteImage(t, dir, resolved.Digest, func(config *v1.ConfigFile, _ *v1.Manifest) {
		config.RootFS.DiffIDs[0].Hex = strings.Repeat("0", 64)
	})
	resolved = resolve(t, reference)
	_, err := openCache(t, nil).Get(t.Context(), reference, resolved.Digest, "amd64")
	if !errors.Is(err, imagesync.ErrInvalid) || !strings.Contains(fmt.Sprint(err), "uncompressed digest") {
		t.Errorf("got %v", err)
	}
}

// TestTooManyLayers: refused by the manifest alone.
func TestTooManyLayers(t *testing.T) {
	t.Parallel()
	reference := twoPlatforms(t, "layers")
	rewriteImage(t, strings.TrimPrefix(reference, "oci:"), resolve(t, reference).Digest, func(config *v1.ConfigFile, manifest *v1.Manifest) {
		for range 10_000 {
			manifest.Layers = append(manifest.Layers, manifest.Layers[0])
			config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, config.RootFS.DiffIDs[0])
		}
	})
	_, err := openCache(t, nil).Get(t.Context(), reference, resolve(t, reference).Digest, "amd64")
	if !errors.Is(err, imagesync.ErrTooBig) || !strings.Contains(fmt.Sprint(err), "layers") {
		t.Errorf("got %v", err)
	}
}

// TestHugeDocuments: a manifest and a configuration above their caps.
func TestHugeDocuments(t *testing.T) {
	t.Parallel()
	reference := twoPlatforms(t, "documents")
	dir := strings.TrimPrefix(reference, "oci:")
	rewriteImage(t, dir, resolve(t, reference).Digest, func(config *v1.ConfigFile, _ *v1.Manifest) {
		config.Config.Labels = map[string]string{"big": strings.Repeat("x", 5<<20)}
	})
	_, err := openCache(t, nil).Get(t.Context(), reference, resolve(t, reference).Digest, "amd64")
	if !errors.Is(err, imagesync.ErrTooBig) || !strings.Contains(fmt.Sprint(err), "configuration") {
		t.Errorf("configuration: got %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), bytes.Repeat([]byte(" "), 5<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err = imagesync.NewResolver(imagesync.ResolverConfig{Sources: local}).Resolve(t.Context(), reference)
	if !errors.Is(err, imagesync.ErrTooBig) {
		t.Errorf("index: got %v", err)
	}
}

// TestCredentials: the operator's are used for entries of the catalog, and what
// they pulled is not given to others.
func TestCredentials(t *testing.T) {
	t.Parallel()
	host := imagetest.Registry(t, func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if user, password, _ := r.BasicAuth(); user != "operator" || password != "secret" {
				w.Header().Set("WWW-Authenticate", `Basic realm="test"`)
				http.Error(w, `{"errors":[{"code":"UNAUTHORIZED","message":"who are you"}]}`, http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r)
		})
	})
	login := remote.WithAuth(authn.FromConfig(authn.AuthConfig{Username: "operator", Password: "secret"}))
	listed, other := host+"/listed:1", host+"/other:1"
	digest := imagetest.Push(t, listed, simpleIndex(t, "private"), login)
	imagetest.Push(t, other, simpleIndex(t, "other"), login)

	docker := t.TempDir()
	raw := imagetest.JSON(t, map[string]any{"auths": map[string]any{host: map[string]string{"auth": "b3BlcmF0b3I6c2VjcmV0"}}})
	if err := os.WriteFile(filepath.Join(docker, "config.json"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	catalog, err := imagesync.ParseCatalog([]byte("images: {tool: {reference: "+listed+"}}"), "/")
	if err != nil {
		t.Fatal(err)
	}
	sources := local
	sources.Catalog, sources.DockerConfig = catalog, docker
	resolver := imagesync.NewResolver(imagesync.ResolverConfig{Sources: sources})
	resolved, err := resolver.Resolve(t.Context(), "tool")
	if err != nil || resolved.Digest != digest || resolved.Reference != listed {
		t.Fatalf("catalog entry: %+v, %v", resolved, err)
	}
	if _, err := resolver.Resolve(t.Context(), other); !errors.Is(err, imagesync.ErrUnauthorised) {
		t.Errorf("an image that is not in the catalog: %v", err)
	}

	dir := t.TempDir()
	c := openCache(t, func(config *imagesync.CacheConfig) { config.Dir, config.Sources = dir, sources })
	image, err := c.Get(t.Context(), resolved.Reference, digest, "amd64")
	if err != nil {
		t.Fatal(err)
	}
	image.Release()
	for _, reference := range []string{host + "/listed@" + digest, host + "/listed:2"} {
		if _, err := c.Get(t.Context(), reference, digest, "amd64"); !errors.Is(err, imagesync.ErrUnauthorised) {
			t.Errorf("a private image for %s: %v", reference, err)
		}
	}
}

// rewriteImage changes the amd64 image of a layout and makes all digests fit again.
func rewriteImage(t *testing.T, dir, index string, change func(*v1.ConfigFile, *v1.Manifest)) {
	t.Helper()
	blob := func(digest string) string {
		return filepath.Join(dir, "blobs", "sha256", strings.TrimPrefix(digest, "sha256:"))
	}
	store := func(v any) v1.Descriptor {
		raw := imagetest.JSON(t, v)
		digest := v1.Hash{Algorithm: "sha256", Hex: sha256Hex(raw)}
		if err := os.WriteFile(blob(digest.String()), raw, 0o644); err != nil {
			t.Fatal(err)
		}
		return v1.Descriptor{Digest: digest, Size: int64(len(raw))}
	}
	top := parseFile(t, blob(index), v1.ParseIndexManifest)
	manifest := parseFile(t, blob(top.Manifests[0].Digest.String()), v1.ParseManifest)
	config := parseFile(t, blob(manifest.Config.Digest.String()), v1.ParseConfigFile)
	change(config, manifest)
	d := store(config)
	manifest.Config.Digest, manifest.Config.Size = d.Digest, d.Size
	d = store(manifest)
	top.Manifests[0].Digest, top.Manifests[0].Size = d.Digest, d.Size
	d = store(top)
	d.MediaType = top.MediaType
	outer := v1.IndexManifest{SchemaVersion: 2, MediaType: top.MediaType, Manifests: []v1.Descriptor{d}}
	if err := os.WriteFile(filepath.Join(dir, "index.json"), imagetest.JSON(t, outer), 0o644); err != nil {
		t.Fatal(err)
	}
}
