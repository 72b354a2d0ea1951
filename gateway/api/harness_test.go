package api

import (
	"archive/tar"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/program-explorer/pe/internal/archive"
	"github.com/program-explorer/pe/internal/archive/atrest"
	"github.com/program-explorer/pe/internal/objstore/dir"
	"github.com/program-explorer/pe/schemas"
)

const testDigest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

// harness is the API behind a real HTTP server, with a real directory store.
type harness struct {
	api   *API
	jobs  *fakeJobs
	store *dir.Store
	url   string
	log   *lockedWriter
}

// start serves the API; change may adapt its configuration.
func start(t *testing.T, change ...func(*Config)) *harness {
	t.Helper()
	h := &harness{log: &lockedWriter{}}
	store, err := dir.Open(dir.Config{Path: t.TempDir(), BaseURL: func() string { return h.url + objectsPrefix }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h.store, h.jobs = store, newFakeJobs(store)
	c := Config{
		Jobs: h.jobs, Store: store, Objects: http.StripPrefix(objectsPrefix, store.Handler()), Version: "test", Resolve: fakeResolve,
		Log: slog.New(slog.NewTextHandler(h.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Images: func(context.Context) (schemas.ImageList, error) {
			return schemas.ImageList{Images: []schemas.CatalogImage{{Name: "gcc", Reference: "registry.test/gcc:14"}}}, nil
		},
	}
	for _, f := range change {
		f(&c)
	}
	if h.api, err = New(c); err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h.api)
	t.Cleanup(server.Close)
	t.Cleanup(h.api.Drain)
	h.url = server.URL
	return h
}

func fakeResolve(_ context.Context, reference string) (ResolvedImage, error) {
	switch {
	case strings.HasPrefix(reference, "gcc"):
		return ResolvedImage{Reference: "registry.test/" + reference, Digest: testDigest, Archs: []string{"riscv64", "amd64"}}, nil
	case reference == "armonly":
		return ResolvedImage{Reference: "registry.test/armonly", Digest: testDigest, Archs: []string{"arm64"}}, nil
	case reference == "mips":
		return ResolvedImage{Reference: "registry.test/mips", Digest: testDigest, Archs: []string{"mips64le"}}, nil
	case reference == "forbidden":
		return ResolvedImage{}, &ImageError{Kind: ErrImageForbidden, Message: "image forbidden is not in the catalog"}
	case reference == "unreachable":
		return ResolvedImage{}, &ImageError{Kind: ErrRegistry, Message: "image unreachable: connection refused"}
	}
	return ResolvedImage{}, &ImageError{Kind: ErrImageUnknown, Message: fmt.Sprintf("image %q: not found: the registry answered 404", reference)}
}

// request sends one request; header is name and value in turns.
func (h *harness) request(t *testing.T, method, path, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, h.url+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodPost || method == http.MethodPatch || method == http.MethodPut {
		req.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req) // no redirects
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// ask sends a request that must have this status, and decodes the answer.
func ask[T any](t *testing.T, h *harness, status int, method, path, body string, header ...string) T {
	t.Helper()
	var v T
	resp := h.request(t, method, path, body, header...)
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != status {
		t.Fatalf("%s %s: status %d, want %d: %s", method, path, resp.StatusCode, status, data)
	}
	h.matchesDocument(t, method, path, resp, data)
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatalf("%s %s: %v in %s", method, path, err, data)
	}
	return v
}

// refused sends a request that must be refused with this status and kind.
func (h *harness) refused(t *testing.T, want kind, method, path, body string, header ...string) schemas.ProblemDocument {
	t.Helper()
	resp := h.request(t, method, path, body, header...)
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.StatusCode != want.status || resp.Header.Get("Content-Type") != "application/problem+json" {
		t.Fatalf("%s %s: %d %s, want %d and a problem document: %s", method, path, resp.StatusCode, resp.Header.Get("Content-Type"), want.status, data)
	}
	var p schemas.ProblemDocument
	if err := json.Unmarshal(data, &p); err != nil {
		t.Fatal(err)
	}
	if p.Type != schemas.ProblemTypePrefix+want.name || p.Status != want.status || p.Title == "" {
		t.Fatalf("%s %s: problem %+v, want %s", method, path, p, want.name)
	}
	h.matchesDocument(t, method, path, resp, data)
	return p
}

func (h *harness) submit(t *testing.T, spec string) schemas.Job {
	t.Helper()
	return ask[schemas.Job](t, h, http.StatusAccepted, "POST", "/v1/jobs", spec)
}

// output is a file, folder or link that a job leaves.
type output struct {
	name, content, link string
	dir                 bool
}

func (h *harness) storeOutputs(t *testing.T, r schemas.Record, result *schemas.Result, outputs []output) {
	t.Helper()
	var plain, packed, index bytes.Buffer
	w := tar.NewWriter(&plain)
	for _, o := range outputs {
		header := &tar.Header{Name: o.name, Mode: 0o644, Size: int64(len(o.content)), Typeflag: tar.TypeReg, ModTime: time.Unix(1, 0), Format: tar.FormatPAX}
		if o.link != "" {
			header.Typeflag, header.Linkname = tar.TypeSymlink, o.link
		}
		if o.dir {
			header.Typeflag = tar.TypeDir
		}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		io.WriteString(w, o.content)
	}
	w.Close()
	x, err := atrest.Repack(&plain, &packed, archive.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if x.SkippedTotal > 0 {
		t.Fatalf("the archive refuses %+v", x.Skipped)
	}
	if err := x.Encode(&index); err != nil {
		t.Fatal(err)
	}
	a, i := h.put(t, r, schemas.ObjectArchive, packed.Bytes()), h.put(t, r, schemas.ObjectIndex, index.Bytes())
	result.Archive, result.Index = &a, &i
	for _, e := range x.Entries[:min(len(x.Entries), schemas.MaxListedOutputs)] {
		file := e
		if e.Type == atrest.TypeHardlink {
			file, _ = x.File(e.Name())
		}
		result.Outputs = append(result.Outputs, outputOf(e, file))
	}
	result.OutputsTotal, result.OutputsBytes = len(x.Entries), x.Bytes
}

func exitCode(n int) schemas.Outcome { return schemas.Outcome{ExitCode: &n} }

// lockedWriter lets many requests log into one buffer.
type lockedWriter struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lockedWriter) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (h *harness) logged() string { return h.log.String() }

func (h *harness) text(t *testing.T, path string, header ...string) string {
	t.Helper()
	resp := h.request(t, http.MethodGet, path, "", header...)
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("GET %s: %d, %v: %s", path, resp.StatusCode, err, data)
	}
	h.matchesDocument(t, http.MethodGet, path, resp, data)
	return string(data)
}
