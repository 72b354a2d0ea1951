package api

import (
	"bytes"
	"encoding/json"
	"maps"
	"mime"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// operation is what the document says of one route.
type operation struct {
	Responses map[string]struct {
		Content map[string]struct {
			Schema json.RawMessage `json:"schema"`
		} `json:"content"`
	} `json:"responses"`
}

func (a *API) operations(t *testing.T) map[string]map[string]json.RawMessage {
	t.Helper()
	var doc struct {
		Paths map[string]map[string]json.RawMessage `json:"paths"`
	}
	if err := json.Unmarshal(a.document, &doc); err != nil {
		t.Fatal(err)
	}
	return doc.Paths
}

// documented is a route's pattern as OpenAPI writes it.
func documented(pattern string) string {
	return strings.NewReplacer("{$}", "", "...}", "}").Replace(pattern)
}

func TestEveryRouteIsDocumentedAndNothingElse(t *testing.T) {
	t.Parallel()
	h := start(t)
	var served, told []string
	for _, rt := range h.api.routes() {
		served = append(served, strings.ToLower(rt.method)+" "+documented(rt.pattern))
	}
	for path, methods := range h.api.operations(t) {
		for _, method := range slices.Collect(maps.Keys(methods)) {
			if method != "parameters" {
				told = append(told, method+" "+path)
			}
		}
	}
	slices.Sort(served)
	slices.Sort(told)
	if !slices.Equal(served, told) {
		t.Errorf("served:\n%s\ndocumented:\n%s", strings.Join(served, "\n"), strings.Join(told, "\n"))
	}
}

// Every route that needs a token says what becomes of who has none, whose does
// not allow it, and who asks too often; no other says that it needs one.
func TestDocumentSaysWhoIsRefused(t *testing.T) {
	t.Parallel()
	h := start(t)
	for _, rt := range h.api.routes() {
		var op struct {
			operation
			Security []any `json:"security"`
		}
		at := rt.method + " " + documented(rt.pattern)
		if err := json.Unmarshal(h.api.operations(t)[documented(rt.pattern)][strings.ToLower(rt.method)], &op); err != nil {
			t.Fatalf("%s: %v", at, err)
		}
		if rt.public != (op.Security != nil) {
			t.Errorf("%s: public %v, security %v", at, rt.public, op.Security)
		}
		for _, status := range []string{"401", "403", "429"} {
			if _, ok := op.Responses[status]; !ok && !rt.public {
				t.Errorf("%s: %s is not documented", at, status)
			}
		}
	}
}

func TestDocumentIsServedWhole(t *testing.T) {
	t.Parallel()
	h := start(t)
	doc := ask[map[string]any](t, h, http.StatusOK, "GET", "/openapi.json", "")
	if doc["openapi"] != "3.1.0" {
		t.Errorf("openapi %v", doc["openapi"])
	}
	for _, ref := range refsOf(doc) {
		compile(t, h.api.document, ref) // fails if it leads nowhere
	}
}

func refsOf(v any) (refs []string) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			if text, ok := inner.(string); ok && key == "$ref" {
				refs = append(refs, text)
			}
			refs = append(refs, refsOf(inner)...)
		}
	case []any:
		for _, inner := range v {
			refs = append(refs, refsOf(inner)...)
		}
	}
	slices.Sort(refs)
	return slices.Compact(refs)
}

var compiled sync.Map // fragment → *jsonschema.Schema; the document is the same in all tests

func compile(t *testing.T, document []byte, fragment string) *jsonschema.Schema {
	t.Helper()
	if s, ok := compiled.Load(fragment); ok {
		return s.(*jsonschema.Schema)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("openapi.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("openapi.json" + fragment)
	if err != nil {
		t.Fatalf("schema %s: %v", fragment, err)
	}
	compiled.Store(fragment, s)
	return s
}

// matchesDocument holds a real answer against what the document says of its
// route: status, media type, and the schema of JSON.
func (h *harness) matchesDocument(t *testing.T, method, path string, resp *http.Response, body []byte) {
	t.Helper()
	_, pattern := h.api.mux.Handler(httptest.NewRequest(method, path, nil))
	_, route, ok := strings.Cut(pattern, " ")
	if !ok {
		return // no such route
	}
	at := documented(route)
	if _, verb, ok := strings.Cut(path, ":"); ok && (strings.HasSuffix(at, "/{id}") || strings.HasSuffix(at, "/{name}")) {
		at += ":" + verb // which the mux knows nothing of
	}
	var op operation
	if err := json.Unmarshal(h.api.operations(t)[at][strings.ToLower(method)], &op); err != nil {
		t.Fatalf("%s %s is not documented: %v", method, at, err)
	}
	status := strconv.Itoa(resp.StatusCode)
	answer, ok := op.Responses[status]
	if !ok {
		status = "default"
		if answer, ok = op.Responses[status]; !ok || resp.StatusCode < 400 {
			t.Errorf("%s %s: status %d is not documented", method, at, resp.StatusCode)
			return
		}
	}
	media, _, err := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if err != nil {
		t.Errorf("%s %s: content type %q", method, at, resp.Header.Get("Content-Type"))
	}
	if _, ok := answer.Content[media]; !ok {
		if _, any := answer.Content["*/*"]; !any {
			t.Errorf("%s %s: %s with %d is not documented", method, at, media, resp.StatusCode)
		}
		return
	}
	if !strings.HasSuffix(media, "json") {
		return
	}
	escape := strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D")
	fragment := "#/paths/" + escape.Replace(at) + "/" + strings.ToLower(method) + "/responses/" + status + "/content/" + escape.Replace(media) + "/schema"
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return
	}
	if err := compile(t, h.api.document, fragment).Validate(value); err != nil {
		t.Errorf("%s %s does not answer as documented: %v\n%s", method, path, err, body)
	}
}
