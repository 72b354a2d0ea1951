// Package flatten turns the layers of an OCI image into one tree.
//
// Reading a layer ([ReadLayer]) and applying it ([Tree.Apply]) are two steps:
// layers are read in parallel, each in one pass that streams file data to an
// append-only spool, and applied in order, which needs no data. The rules are
// those of the OCI image specification and, where it is silent, of containerd:
// the last layer wins, whiteouts hide lower layers only, and symbolic links in
// an entry's parents are resolved inside the tree.
//
// Layers are hostile. Nothing here touches the file system by a name from a
// layer, and all that a layer can make grow is capped by a [Budget].
package flatten

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// ErrInvalid is wrapped by the errors for layers that break the rules.
var ErrInvalid = errors.New("invalid layer")

// Inode is a file of any kind, apart from its name. Hard links share one.
type Inode struct {
	// Mode has Go's type bits, permissions, setuid, setgid and sticky.
	Mode     fs.FileMode
	UID, GID uint32
	// Sec and Nsec are the modification time, at least the Unix epoch.
	Sec  uint64
	Nsec uint32
	// Size is in bytes, and zero for all but regular files.
	Size int64
	// Data and Offset tell where a regular file's bytes are.
	Data   io.ReaderAt
	Offset int64
	// Target is a symbolic link's text.
	Target string
	// Major and Minor are a device's numbers.
	Major, Minor uint32
	Xattrs       map[string]string
}

// Spool takes the data of files, one after the other.
type Spool interface {
	io.ReaderAt
	// Append stores what r gives until io.EOF, and tells where.
	Append(r io.Reader) (offset, size int64, err error)
}

// Layer is one layer's content, read but not applied.
type Layer struct {
	// whiteouts are paths hidden in lower layers; opaques are folders whose
	// lower content is hidden.
	whiteouts, opaques []string
	records            []record
}

type record struct {
	path string
	// inode is nil for a hard link to link.
	inode *Inode
	link  string
}

const (
	whiteoutPrefix = ".wh."
	opaqueMarker   = ".wh..wh..opq"
	// whiteoutMeta begins the names of aufs's own files, which are no content.
	whiteoutMeta = ".wh..wh."
)

// ReadLayer reads an uncompressed layer to its very end, also past the end of
// the archive in it, so that r can check a digest. Data goes to spool.
func ReadLayer(ctx context.Context, r io.Reader, spool Spool, budget *Budget) (*Layer, error) {
	counted := &budgetReader{ctx: ctx, r: r, budget: budget}
	archive := tar.NewReader(counted)
	layer := &Layer{}
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return nil, counted.explain(err)
		}
		if err := layer.add(header, archive, spool, budget); err != nil {
			return nil, counted.explain(err)
		}
	}
	if _, err := io.Copy(io.Discard, counted); err != nil {
		return nil, err
	}
	return layer, nil
}

func (l *Layer) add(h *tar.Header, data io.Reader, spool Spool, budget *Budget) error {
	if h.Typeflag == tar.TypeXGlobalHeader {
		return nil
	}
	name, err := cleanPath(h.Name, budget.limits)
	if err != nil {
		return err
	}
	if err := budget.addEntries(1, name); err != nil {
		return err
	}
	if err := budget.addNames(int64(len(name)+len(h.Linkname)), name); err != nil {
		return err
	}
	if skip, err := l.addWhiteout(name); skip || err != nil {
		return err
	}
	if h.Typeflag == tar.TypeLink {
		return l.addHardLink(name, h.Linkname, budget)
	}
	inode, err := inodeOf(h, name, budget)
	if err != nil {
		return err
	}
	if inode.Mode.IsRegular() && h.Size > 0 {
		// The size is checked before a byte is read; a sparse file is short in
		// the archive, so counting what is read would not do.
		if err := budget.addSparse(h, name); err != nil {
			return err
		}
		inode.Data = spool
		if inode.Offset, inode.Size, err = spool.Append(data); err != nil {
			return err
		}
		if inode.Size != h.Size {
			return fmt.Errorf("%w: %q has %d bytes and says %d", ErrInvalid, name, inode.Size, h.Size)
		}
	}
	l.records = append(l.records, record{path: name, inode: inode})
	return nil
}

// addWhiteout records a whiteout; skip is true for an entry that is no content.
func (l *Layer) addWhiteout(name string) (skip bool, err error) {
	dir, base := path.Split(name)
	dir = strings.TrimSuffix(dir, "/")
	if !strings.Contains(name, whiteoutPrefix) {
		return false, nil
	}
	for _, part := range strings.Split(dir, "/") {
		if strings.HasPrefix(part, whiteoutMeta) {
			return true, nil
		}
	}
	switch {
	case base == opaqueMarker:
		l.opaques = append(l.opaques, dir)
	case strings.HasPrefix(base, whiteoutMeta):
	case strings.HasPrefix(base, whiteoutPrefix):
		hidden := strings.TrimPrefix(base, whiteoutPrefix)
		if hidden == "" || hidden == "." || hidden == ".." {
			return true, fmt.Errorf("%w: whiteout %q names nothing", ErrInvalid, name)
		}
		l.whiteouts = append(l.whiteouts, path.Join(dir, hidden))
	default:
		return false, nil
	}
	return true, nil
}

func (l *Layer) addHardLink(name, target string, budget *Budget) error {
	link, err := cleanPath(target, budget.limits)
	if err != nil {
		return err
	}
	if link == "" || name == "" {
		return fmt.Errorf("%w: hard link %q to %q", ErrInvalid, name, target)
	}
	l.records = append(l.records, record{path: name, link: link})
	return nil
}

// cleanPath returns an entry's path without leading or trailing slash; the root is "".
func cleanPath(name string, limits Limits) (string, error) {
	if len(name) > limits.Path {
		return "", &LimitError{Cap: "bytes in a path", Limit: int64(limits.Path), Path: name}
	}
	parts := strings.Split(name, "/")
	kept := parts[:0]
	for _, part := range parts {
		switch {
		case part == "" || part == ".":
			continue
		case part == "..":
			return "", fmt.Errorf("%w: path %q climbs", ErrInvalid, name)
		case len(part) > maxName:
			return "", &LimitError{Cap: "bytes in a file name", Limit: maxName, Path: name}
		case strings.ContainsRune(part, 0):
			return "", fmt.Errorf("%w: path %q has a NUL byte", ErrInvalid, name)
		}
		kept = append(kept, part)
	}
	if len(kept) > limits.Depth {
		return "", &LimitError{Cap: "levels of folders", Limit: int64(limits.Depth), Path: name}
	}
	return strings.Join(kept, "/"), nil
}
