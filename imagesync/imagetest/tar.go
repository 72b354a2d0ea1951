// Package imagetest makes small images for tests: layers as tar archives, and
// layouts and registries that hold them.
package imagetest

import (
	"archive/tar"
	"bytes"
	"testing"
	"time"
)

// Entry is one entry of a layer. Its zero Type is a regular file, or a folder
// when the name ends in a slash, or a symbolic link when Link is set.
type Entry struct {
	Name   string
	Type   byte
	Mode   int64 // default 0644, or 0755 for folders
	Body   string
	Link   string
	UID    int
	GID    int
	Major  int64
	Minor  int64
	Time   time.Time // default the Unix epoch
	Xattrs map[string]string
}

// Tar returns a layer of these entries, in their order.
func Tar(t testing.TB, entries ...Entry) []byte {
	t.Helper()
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		h := e.header()
		if err := w.WriteHeader(h); err != nil {
			t.Fatalf("write tar header %q: %v", e.Name, err)
		}
		if h.Typeflag == tar.TypeReg {
			if _, err := w.Write([]byte(e.Body)); err != nil {
				t.Fatalf("write tar entry %q: %v", e.Name, err)
			}
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (e Entry) header() *tar.Header {
	h := &tar.Header{
		Name: e.Name, Typeflag: e.Type, Mode: e.Mode, Linkname: e.Link, Uid: e.UID, Gid: e.GID,
		Devmajor: e.Major, Devminor: e.Minor, ModTime: e.Time, Format: tar.FormatPAX,
	}
	if h.Typeflag == 0 {
		switch {
		case e.Link != "":
			h.Typeflag = tar.TypeSymlink
		case len(e.Name) > 0 && e.Name[len(e.Name)-1] == '/':
			h.Typeflag = tar.TypeDir
		default:
			h.Typeflag = tar.TypeReg
		}
	}
	if h.Typeflag == tar.TypeReg {
		h.Size = int64(len(e.Body))
	}
	if h.Mode == 0 {
		h.Mode = 0o644
		if h.Typeflag == tar.TypeDir {
			h.Mode = 0o755
		}
	}
	if h.ModTime.IsZero() {
		h.ModTime = time.Unix(0, 0)
	}
	for name, value := range e.Xattrs {
		if h.PAXRecords == nil {
			h.PAXRecords = map[string]string{}
		}
		h.PAXRecords["SCHILY.xattr."+name] = value
	}
	return h
}
