package atrest

import (
	"encoding/base64"
	"fmt"
	"path"
	"strings"
	"unicode/utf8"

	"github.com/program-explorer/pe/internal/archive"
)

const (
	// maxHeader bounds Entry.Header: two names of 4 KiB and some blocks.
	maxHeader    = 64 << 10
	maxMediaType = 127
	maxReason    = 200
	maxSkipPath  = 256 // bytes of a path in the list of skipped entries
	maxTimeUS    = 253402300799 * 1_000_000
)

// tree is what is known of the entries so far: what they are, by name. It holds
// the rules that Repack and the decoder share.
type tree struct {
	kinds   map[string]byte
	implied int // folders that only appear as parents
}

const (
	isFile    = 'f'
	isDir     = 'd'
	isLink    = 'l'
	isImplied = 'i'
)

func newTree() *tree { return &tree{kinds: map[string]byte{}} }

// admit checks whether an entry may stand where it does, and notes it.
func (t *tree) admit(name string, kind byte) error {
	if have := t.kinds[name]; have != 0 && (have != isImplied || kind != isDir) {
		return &archive.RefusedError{Path: name, Reason: "name is there already"}
	}
	missing := 0
	for up := path.Dir(name); up != "."; up = path.Dir(up) {
		have := t.kinds[up]
		if have == isDir || have == isImplied {
			break // its own parents were checked when it came
		}
		if have != 0 {
			return &archive.RefusedError{Path: name, Reason: "lies below something that is not a folder"}
		}
		missing++
	}
	// Deep names without their folders would make this map a bomb.
	if t.implied += missing; t.implied > archive.DefaultMaxEntries {
		return &archive.RefusedError{Path: name, Reason: "too many folders without an entry"}
	}
	for up := path.Dir(name); missing > 0; up = path.Dir(up) {
		t.kinds[up] = isImplied
		missing--
	}
	t.kinds[name] = kind
	return nil
}

func (x *Index) check() error {
	if x.Version != Version {
		return fmt.Errorf("version %d, want %d", x.Version, Version)
	}
	if len(x.Entries) > archive.DefaultMaxEntries {
		return &archive.LimitError{What: archive.LimitEntries, Max: archive.DefaultMaxEntries}
	}
	if !validDigest(x.ArchiveSHA256) || x.ArchiveSize < 0 {
		return fmt.Errorf("archive digest or size is malformed")
	}
	if len(x.Skipped) > archive.MaxRemarks || x.SkippedTotal < len(x.Skipped) {
		return fmt.Errorf("skipped total %d of a list of %d", x.SkippedTotal, len(x.Skipped))
	}
	for _, s := range x.Skipped {
		if len(s.Path) > 2*maxSkipPath || len(s.Reason) > maxReason {
			return fmt.Errorf("skipped entry %.64q is too long", s.Path)
		}
	}
	return x.checkEntries()
}

func (x *Index) checkEntries() error {
	seen := newTree()
	var offset, bytes int64
	files := 0
	for i := range x.Entries {
		e := &x.Entries[i]
		if err := e.check(seen); err != nil {
			return fmt.Errorf("entry %d %.64q: %w", i, e.Path, err)
		}
		if e.Offset != offset || e.Length > x.ArchiveSize-offset {
			return fmt.Errorf("entry %d %.64q: frame at %d+%d, want it at %d of %d", i, e.Path, e.Offset, e.Length, offset, x.ArchiveSize)
		}
		offset += e.Length
		if e.Type == TypeFile || e.Type == TypeHardlink {
			files++
		}
		if bytes += e.Size; bytes < 0 {
			return fmt.Errorf("sizes overflow")
		}
	}
	if files != x.Files || bytes != x.Bytes {
		return fmt.Errorf("totals are %d files and %d bytes, entries have %d and %d", x.Files, x.Bytes, files, bytes)
	}
	return nil
}

func (e *Entry) check(seen *tree) error {
	if err := checkCoded(e.Path, e.PathBase64); err != nil {
		return fmt.Errorf("path: %w", err)
	}
	if err := checkCoded(e.Link, e.LinkBase64); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	name := e.Name()
	clean, err := archive.CleanName(name, archive.Limits{})
	if err != nil {
		return err
	}
	if clean != name || name == "." {
		return fmt.Errorf("path is not clean")
	}
	if e.Length <= 0 || e.Header < 512 || e.Header > maxHeader || e.Mode > 0o777 || e.MTimeUS < 0 || e.MTimeUS > maxTimeUS || e.Size < 0 {
		return fmt.Errorf("a number is out of range")
	}
	return e.checkType(name, seen)
}

func (e *Entry) checkType(name string, seen *tree) error {
	if e.Type == TypeFile {
		if !validDigest(e.SHA256) || e.MediaType == "" || len(e.MediaType) > maxMediaType || !printable(e.MediaType) || e.Link != "" {
			return fmt.Errorf("digest, media type or link of a file is malformed")
		}
		return seen.admit(name, isFile)
	}
	if e.Size != 0 || e.SHA256 != "" || e.MediaType != "" {
		return fmt.Errorf("a %.16q has no content", e.Type)
	}
	switch e.Type {
	case TypeDir:
		if e.Link != "" {
			return fmt.Errorf("a dir has no link")
		}
		return seen.admit(name, isDir)
	case TypeSymlink:
		if err := archive.CheckLink(name, e.Target(), archive.Limits{}); err != nil {
			return err
		}
		return seen.admit(name, isLink)
	case TypeHardlink:
		if seen.kinds[e.Target()] != isFile {
			return fmt.Errorf("hard link to something else than an earlier file")
		}
		return seen.admit(name, isLink)
	}
	return fmt.Errorf("type %.16q is unknown", e.Type)
}

// checkCoded: the text is what the coded form reads as, and there only if needed.
func checkCoded(text, coded string) error {
	if !utf8.ValidString(text) {
		return fmt.Errorf("not UTF-8")
	}
	if coded == "" {
		return nil
	}
	b, err := base64.StdEncoding.Strict().DecodeString(coded)
	if err != nil {
		return err
	}
	if utf8.Valid(b) || lossy(string(b)) != text {
		return fmt.Errorf("base64 form does not belong to the text")
	}
	return nil
}

func validDigest(s string) bool {
	hex, ok := strings.CutPrefix(s, "sha256:")
	if !ok || len(hex) != 64 {
		return false
	}
	return strings.Trim(hex, "0123456789abcdef") == ""
}

func printable(s string) bool {
	for i := range len(s) {
		if s[i] < 0x20 || s[i] > 0x7e {
			return false
		}
	}
	return true
}
