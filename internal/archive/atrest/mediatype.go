package atrest

import (
	"net/http"
	"path"
	"strings"
)

const (
	octets    = "application/octet-stream"
	plainText = "text/plain; charset=utf-8"
	sniffSize = 512 // what http.DetectContentType looks at
)

// mediaType says what a file seems to be, from its first bytes; where those
// only say text or bytes, from its extension. It is a claim of a hostile file,
// so whoever serves the file must forbid sniffing and scripts.
//
// The table is fixed, because that of package mime depends on the machine.
func mediaType(name string, head []byte) string {
	sniffed := http.DetectContentType(head[:min(len(head), sniffSize)])
	if len(head) == 0 {
		sniffed = plainText
	}
	switch {
	case sniffed == octets:
		if t, ok := binaryType(extension(name)); ok {
			return t
		}
		if len(head) >= 4 && string(head[:4]) == "\x7fELF" {
			return "application/x-elf"
		}
	case strings.HasPrefix(sniffed, "text/plain") || strings.HasPrefix(sniffed, "text/xml"):
		if t, ok := textType(extension(name)); ok {
			return t
		}
	}
	return sniffed
}

func extension(name string) string { return strings.ToLower(path.Ext(name)) }

// textType is for content that is text without a doubt.
func textType(ext string) (string, bool) {
	switch ext {
	case ".json":
		return "application/json", true
	case ".csv":
		return "text/csv; charset=utf-8", true
	case ".tsv":
		return "text/tab-separated-values; charset=utf-8", true
	case ".md":
		return "text/markdown; charset=utf-8", true
	case ".html", ".htm":
		return "text/html; charset=utf-8", true
	case ".css":
		return "text/css; charset=utf-8", true
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8", true
	case ".xml":
		return "text/xml; charset=utf-8", true
	case ".svg":
		return "image/svg+xml", true
	case ".yaml", ".yml":
		return "application/yaml", true
	case ".toml":
		return "application/toml", true
	case ".sh":
		return "application/x-sh", true
	case ".diff", ".patch":
		return "text/x-diff; charset=utf-8", true
	}
	return "", false
}

func binaryType(ext string) (string, bool) {
	switch ext {
	case ".tar":
		return "application/x-tar", true
	case ".zst":
		return "application/zstd", true
	case ".xz":
		return "application/x-xz", true
	case ".bz2":
		return "application/x-bzip2", true
	case ".7z":
		return "application/x-7z-compressed", true
	case ".flac":
		return "audio/flac", true
	case ".mkv":
		return "video/x-matroska", true
	case ".avif":
		return "image/avif", true
	case ".tif", ".tiff":
		return "image/tiff", true
	case ".sqlite", ".db":
		return "application/vnd.sqlite3", true
	}
	return "", false
}
