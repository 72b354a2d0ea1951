package api

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// sandboxPolicy takes from a document everything by which it could act as a
// page of the API's address: scripts, requests, forms, frames, plugins.
const sandboxPolicy = "sandbox; default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// safeInline are the media types that a browser may show in place: raster
// images hold no script. SVG, HTML, XML and PDF do.
var safeInline = []string{"image/png", "image/jpeg", "image/gif", "image/webp", "image/avif"}

// markHostile sets the headers under which something that a job made is
// served. name is what a browser may save it as.
func markHostile(h http.Header, name, mediaType string) {
	if _, _, err := mime.ParseMediaType(mediaType); err != nil || len(mediaType) > 127 {
		mediaType = "application/octet-stream"
	}
	h.Set("Content-Type", mediaType)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", sandboxPolicy)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Referrer-Policy", "no-referrer")
	disposition := "attachment"
	if slices.Contains(safeInline, mediaType) {
		disposition = "inline"
	}
	h.Set("Content-Disposition", disposition+fileName(name))
}

// fileName is the parameter of a Content-Disposition (RFC 6266): plain ASCII
// for old clients, the true name in UTF-8, percent-encoded, for all others.
func fileName(name string) string {
	if !utf8.ValidString(name) {
		name = strings.ToValidUTF8(name, "\uFFFD")
	}
	plain := strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' || strings.ContainsRune(`"\/:*?<>|%`, c) {
			return '_'
		}
		return c
	}, name)
	text := `; filename="` + plain + `"`
	if plain != name {
		text += "; filename*=UTF-8''" + strings.ReplaceAll(url.QueryEscape(name), "+", "%20")
	}
	return text
}
