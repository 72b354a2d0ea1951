// Package canned is a gateway that answers from a script: for tests of the SDK
// and of the command, of their wording and of what they do when a server is
// hostile or goes away. It speaks the real API: posted specifications pass the
// real decoder, and every document that it sends is valid by its JSON Schema.
//
// The image of a job is the name of the scenario; see program.go.
package canned

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/program-explorer/pe/schemas"
)

// Token is the access token that the gateway wants while [Gateway.WantToken] is set.
const Token = "canned-token"

// Gateway is one running server.
type Gateway struct {
	URL string
	// WantToken refuses requests without [Token].
	WantToken atomic.Bool

	t       testing.TB
	schemas map[string]*jsonschema.Schema
	mu      sync.Mutex
	jobs    []*job
	blobs   map[string]int
	seen    []string
	busy    int
	hits    int
	fleet   []schemas.Executor
}

// Start serves until the test ends.
func Start(t testing.TB) *Gateway {
	g := &Gateway{t: t, schemas: compile(t), blobs: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/jobs", g.submit)
	mux.HandleFunc("POST /v1/jobs:batch", g.submitBatch)
	mux.HandleFunc("GET /v1/jobs", g.list)
	mux.HandleFunc("GET /v1/jobs/{id}", g.withJob(g.get))
	mux.HandleFunc("DELETE /v1/jobs/{id}", g.withJob(g.cancel))
	mux.HandleFunc("POST /v1/jobs/{id}", g.verb)
	mux.HandleFunc("GET /v1/jobs/{id}/logs", g.withJob(g.logs))
	mux.HandleFunc("GET /v1/jobs/{id}/outputs", g.withJob(g.outputs))
	mux.HandleFunc("GET /v1/jobs/{id}/outputs/{path...}", g.withJob(g.outputFile))
	mux.HandleFunc("GET /v1/events", g.events)
	mux.HandleFunc("PUT /v1/blobs/{digest}", g.putBlob)
	mux.HandleFunc("POST /v1/blobs/missing", g.missing)
	mux.HandleFunc("GET /v1/usage", g.usage)
	mux.HandleFunc("GET /v1/cache", g.cache)
	mux.HandleFunc("DELETE /v1/cache", g.cache)
	mux.HandleFunc("GET /v1/executors", g.executors)
	mux.HandleFunc("GET /v1/images", g.golden("image-list", "image-list.catalog"))
	g.routeCampaigns(mux)
	g.routeWebhooks(mux)
	server := httptest.NewServer(g.checked(mux))
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
	})
	g.URL = server.URL
	return g
}

// Busy makes the next n requests fail with 503.
func (g *Gateway) Busy(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = n
}

// Requests are the methods and paths asked so far.
func (g *Gateway) Requests() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string(nil), g.seen...)
}

// checked notes each request, and refuses what the real gateway refuses.
func (g *Gateway) checked(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		g.seen = append(g.seen, r.Method+" "+r.URL.Path)
		busy := g.busy > 0
		g.busy--
		g.mu.Unlock()
		switch {
		case busy:
			g.problem(w, http.StatusServiceUnavailable, "unavailable", "The gateway is not ready", "", "")
		case g.WantToken.Load() && r.Header.Get("Authorization") != "Bearer "+Token:
			g.problem(w, http.StatusUnauthorized, "unauthorized", "An access token is needed", "", "set PE_TOKEN")
		case r.Method == http.MethodPost && r.Header.Get("Content-Type") != "application/json":
			g.problem(w, http.StatusUnsupportedMediaType, "media-type", "The body's media type is not supported", "", "")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// reply sends a document, after its schema has passed it.
func (g *Gateway) reply(w http.ResponseWriter, status int, schema string, v any) {
	body := g.encode(schema, v)
	media := "application/json"
	if schema == "problem-document" {
		media = "application/problem+json"
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func (g *Gateway) encode(schema string, v any) []byte {
	body, err := json.Marshal(v)
	if err != nil {
		g.t.Errorf("encode %s: %v", schema, err)
	}
	parsed, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err == nil {
		err = g.schemas[schema].Validate(parsed)
	}
	if err != nil {
		g.t.Errorf("%s: %s: %v", schema, body, err)
	}
	return body
}

func (g *Gateway) problem(w http.ResponseWriter, status int, kind, title, detail, hint string, problems ...schemas.Problem) {
	g.reply(w, status, "problem-document", schemas.ProblemDocument{
		Type: schemas.ProblemTypePrefix + kind, Title: title, Status: status, Detail: detail, Hint: hint, Problems: problems,
	})
}

// golden answers with a sample of package schemas.
func (g *Gateway) golden(schema, sample string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		var v any
		if err := json.Unmarshal(goldenSample(g.t, sample), &v); err != nil {
			g.t.Error(err)
		}
		g.reply(w, http.StatusOK, schema, v)
	}
}

func (g *Gateway) putBlob(w http.ResponseWriter, r *http.Request) {
	digest := r.PathValue("digest")
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client left
	}
	if digest != digestOf(body) {
		g.problem(w, http.StatusUnprocessableEntity, "wrong-digest", "The body does not have the digest in its address", "", "")
		return
	}
	g.mu.Lock()
	g.blobs[digest] = len(body)
	g.mu.Unlock()
	g.reply(w, http.StatusCreated, "blob", schemas.Blob{SHA256: digest, Size: int64(len(body))})
}

func (g *Gateway) missing(w http.ResponseWriter, r *http.Request) {
	var req schemas.MissingRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		g.t.Errorf("missing: %v", err)
	}
	var reply schemas.MissingReply
	g.mu.Lock()
	for _, digest := range req.SHA256 {
		if _, have := g.blobs[digest]; !have {
			reply.Missing = append(reply.Missing, digest)
		}
	}
	g.mu.Unlock()
	g.reply(w, http.StatusOK, "missing-reply", reply)
}

func compile(t testing.TB) map[string]*jsonschema.Schema {
	t.Helper()
	compiler := jsonschema.NewCompiler()
	compiler.UseLoader(loader{})
	files, err := fs.Glob(schemas.JSONSchemas(), "*.json")
	if err != nil {
		t.Fatal(err)
	}
	compiled := map[string]*jsonschema.Schema{}
	for _, name := range files {
		s, err := compiler.Compile("mem:///" + name)
		if err != nil {
			t.Fatal(err)
		}
		compiled[strings.TrimSuffix(name, ".json")] = s
	}
	return compiled
}

type loader struct{}

func (loader) Load(url string) (any, error) {
	f, err := schemas.JSONSchemas().Open(strings.TrimPrefix(url, "mem:///"))
	if err != nil {
		return nil, fmt.Errorf("load schema: %w", err)
	}
	defer f.Close()
	return jsonschema.UnmarshalJSON(f)
}
