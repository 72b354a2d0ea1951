package api

import (
	"fmt"
	"html"
	"net/http"
	"strings"
)

// welcome is what GET / says, in JSON.
type welcome struct {
	Name    string            `json:"name"`
	Version string            `json:"version,omitempty"`
	Links   map[string]string `json:"links"`
}

// index says what this is to somebody who opened the address.
func (a *API) index(w http.ResponseWriter, r *http.Request, _ string) error {
	links := map[string]string{
		"jobs": "/v1/jobs", "images": "/v1/images", "executors": "/v1/executors",
		"readiness": "/readyz", "metrics": "/metrics", "openapi": "/openapi.json",
	}
	if !prefersHTML(r.Header.Get("Accept")) {
		return writeJSON(w, http.StatusOK, welcome{Name: "Program Explorer", Version: a.Version, Links: links})
	}
	var items strings.Builder
	for _, name := range sortedKeys(links) {
		fmt.Fprintf(&items, "<li><a href=\"%s\">%s</a>\n", links[name], name)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-cache")
	fmt.Fprintf(w, indexPage, html.EscapeString(a.Version), items.String())
	return nil
}

const indexPage = `<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Program Explorer</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:40em;margin:3em auto;padding:0 1em}pre{background:#eee;color:#111;padding:.5em;overflow:auto}</style>
<h1>Program Explorer</h1>
<p>This gateway runs container images on your files, each job in a machine of its own. %s
<pre>pe run --image gcc -f main.c -- sh -c 'gcc main.c -o /output/a.out'</pre>
<ul>
%s</ul>
</html>
`

// prefersHTML tells a browser from a program: only the former asks for HTML by name.
func prefersHTML(accept string) bool {
	for part := range strings.SplitSeq(accept, ",") {
		media, _, _ := strings.Cut(strings.TrimSpace(part), ";")
		switch strings.ToLower(strings.TrimSpace(media)) {
		case "text/html", "application/xhtml+xml":
			return true
		case "application/json":
			return false
		}
	}
	return false
}
