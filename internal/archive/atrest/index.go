package atrest

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strings"
	"unicode/utf8"

	"github.com/program-explorer/pe/internal/archive"
)

// Version of the index format.
const Version = 1

// Types of entries.
const (
	TypeFile     = "file"
	TypeDir      = "dir"
	TypeSymlink  = "symlink"
	TypeHardlink = "hardlink"
)

// Index says what an archive holds and where. It is an object beside it.
type Index struct {
	Version       int     `json:"version"`
	ArchiveSize   int64   `json:"archive_size"`   // bytes at rest
	ArchiveSHA256 string  `json:"archive_sha256"` // sha256:<hex> of them
	Files         int     `json:"files"`          // entries of type file and hardlink
	Bytes         int64   `json:"bytes"`          // content of entries of type file
	Entries       []Entry `json:"entries"`        // in the order of the archive
	// Skipped are entries of the guest's tar that were left out, the first
	// archive.MaxRemarks of SkippedTotal.
	Skipped      []Skipped `json:"skipped,omitempty"`
	SkippedTotal int       `json:"skipped_total,omitempty"`
}

// Entry is one file, folder or link.
type Entry struct {
	// Path is relative and clean. Bytes that are not UTF-8 are replaced in it;
	// then PathBase64 holds the real name. Use Name to get it.
	Path       string `json:"path"`
	PathBase64 string `json:"path_base64,omitempty"`
	Type       string `json:"type"`
	Mode       uint32 `json:"mode"` // permission bits
	// Size is the content in bytes; SHA256 (sha256:<hex>) and MediaType belong
	// to it. Only files have them.
	Size      int64  `json:"size"`
	SHA256    string `json:"sha256,omitempty"`
	MediaType string `json:"media_type,omitempty"`
	// Link is a symlink's target, or the path of an earlier file that a hard link shares.
	Link       string `json:"link,omitempty"`
	LinkBase64 string `json:"link_base64,omitempty"`
	// Offset and Length are the entry's frame in the archive, in bytes.
	Offset int64 `json:"offset"`
	Length int64 `json:"length"`
	// Header is the number of bytes before the content in the decompressed frame.
	Header int64 `json:"header"`
	// MTimeUS is the modification time in microseconds since the Unix epoch.
	MTimeUS int64 `json:"mtime_us"`
}

// Skipped says what was left out. Path is shortened and made UTF-8.
type Skipped struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Name is the real path, byte for byte.
func (e Entry) Name() string { return raw(e.Path, e.PathBase64) }

// Target is the real target of a link, byte for byte.
func (e Entry) Target() string { return raw(e.Link, e.LinkBase64) }

func raw(text, coded string) string {
	if coded == "" {
		return text
	}
	b, err := base64.StdEncoding.DecodeString(coded)
	if err != nil {
		return text
	}
	return string(b)
}

// readable gives the two forms of a name that Entry holds.
func readable(name string) (text, coded string) {
	if utf8.ValidString(name) {
		return name, ""
	}
	return lossy(name), base64.StdEncoding.EncodeToString([]byte(name))
}

func lossy(name string) string { return strings.ToValidUTF8(name, string(utf8.RuneError)) }

// File finds the file called name (see Entry.Name), through a hard link too.
func (x *Index) File(name string) (Entry, bool) {
	for range 2 {
		e, ok := x.find(name)
		if !ok || e.Type == TypeFile {
			return e, ok
		}
		if e.Type != TypeHardlink {
			return Entry{}, false
		}
		name = e.Target()
	}
	return Entry{}, false
}

func (x *Index) find(name string) (Entry, bool) {
	for i := range x.Entries {
		if x.Entries[i].Name() == name {
			return x.Entries[i], true
		}
	}
	return Entry{}, false
}

// Encode writes the index as JSON.
func (x *Index) Encode(w io.Writer) error {
	if err := json.NewEncoder(w).Encode(x); err != nil {
		return fmt.Errorf("encode archive index: %w", err)
	}
	return nil
}

// DecodeIndex reads an index of at most max bytes and accepts only what Repack
// could have written: no unknown fields, clean names, frames one behind the
// other, links that stay inside.
func DecodeIndex(r io.Reader, max int64) (Index, error) {
	var x Index
	limited := &io.LimitedReader{R: r, N: max + 1}
	d := json.NewDecoder(limited)
	d.DisallowUnknownFields()
	err := x.decode(d)
	if err == nil {
		if _, end := d.Token(); end != io.EOF {
			err = fmt.Errorf("something follows it")
		}
	}
	if limited.N <= 0 {
		err = &archive.LimitError{What: "index bytes", Max: max}
	}
	if err == nil {
		err = x.check()
	}
	if err != nil {
		return Index{}, fmt.Errorf("decode archive index: %w", err)
	}
	return x, nil
}

// decode reads the members, each once and by its exact name: so [Entries] finds the
// same ones.
func (x *Index) decode(d *json.Decoder) error {
	members := map[string]any{
		"version": &x.Version, "archive_size": &x.ArchiveSize, "archive_sha256": &x.ArchiveSHA256, "files": &x.Files,
		"bytes": &x.Bytes, "entries": &x.Entries, "skipped": &x.Skipped, "skipped_total": &x.SkippedTotal,
	}
	return eachMember(d, func(name string) error {
		member := members[name]
		if member == nil {
			return fmt.Errorf("member %.40q is unknown, or there twice", name)
		}
		delete(members, name)
		return d.Decode(member)
	})
}

// Entries reads the entries of an index one after the other, in memory that does not
// depend on how many they are. It checks nothing: the index must be one that
// [DecodeIndex] has accepted. It reads no more than it has to of what follows.
func Entries(r io.Reader) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		d := json.NewDecoder(r)
		err := eachMember(d, func(name string) error {
			if name != "entries" {
				var other json.RawMessage
				return d.Decode(&other)
			}
			return eachEntry(d, yield)
		})
		if err != nil && err != errEnough {
			yield(Entry{}, fmt.Errorf("read archive index: %w", err))
		}
	}
}

// errEnough: nobody wants the rest.
var errEnough = errors.New("enough")

// eachEntry reads an array of entries, or null.
func eachEntry(d *json.Decoder, yield func(Entry, error) bool) error {
	if begin, err := d.Token(); err != nil || begin != json.Delim('[') {
		return err
	}
	for d.More() {
		var e Entry
		if err := d.Decode(&e); err != nil {
			return err
		}
		if !yield(e, nil) {
			return errEnough
		}
	}
	return errEnough
}

// eachMember reads a JSON object; read reads the value of a member.
func eachMember(d *json.Decoder, read func(name string) error) error {
	begin, err := d.Token()
	if err != nil {
		return err
	}
	if begin != json.Delim('{') {
		return fmt.Errorf("it is no JSON object")
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return err
		}
		if err := read(name.(string)); err != nil { // what stands there in an object is a string
			return err
		}
	}
	_, err = d.Token()
	return err
}
