package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sort"
	"time"
)

// PackOptions say what goes into headers, and how much may go in at all.
type PackOptions struct {
	Limits
	// Owner is written for every entry; nil keeps the files' own.
	Owner *Owner
	// Latest is the latest modification time that is kept; later ones become
	// it. Zero means no bound. Times are kept to the second.
	Latest time.Time
}

// Pack writes the files below root that the patterns select (see Globs; none
// selects all) as a tar: the same tree gives the same bytes.
//
// Symlinks are stored, never followed. Hard links to a file already in the
// archive are stored as links. Devices, sockets, FIFOs, and names beyond
// MaxPath or MaxDepth, are skipped and listed. A file that grows or shrinks
// while it is read is cut or filled with zeros to the size that its header
// promised, and listed. Too many bytes or entries end the work with a
// *LimitError; what was written until then is not a whole tar.
func Pack(w io.Writer, root *os.Root, patterns []string, o PackOptions) (Stats, error) {
	globs, err := ParseGlobs(patterns)
	if err != nil {
		return Stats{}, err
	}
	o.Limits = o.Limits.WithDefaults()
	out := bufio.NewWriterSize(w, bufferSize)
	p := &packer{tar: tar.NewWriter(out), o: o, globs: globs, inodes: map[inode]string{}, buf: make([]byte, bufferSize)}
	if err := p.folder(root, "", 1, globs.start(), false); err != nil {
		return p.stats, fmt.Errorf("pack: %w", err)
	}
	if err := p.tar.Close(); err != nil {
		return p.stats, fmt.Errorf("pack: %w", err)
	}
	if err := out.Flush(); err != nil {
		return p.stats, fmt.Errorf("pack: %w", err)
	}
	return p.stats, nil
}

const (
	bufferSize = 256 << 10
	// visitFactor bounds the names that are looked at, selected or not, as a
	// multiple of MaxEntries.
	visitFactor = 8
)

type packer struct {
	tar     *tar.Writer
	o       PackOptions
	globs   Globs
	stats   Stats
	visited int
	// parents are headers of folders that are not selected themselves; they are
	// written when something below them is.
	parents []*tar.Header
	inodes  map[inode]string // files with several names → the name in the archive
	buf     []byte
}

// folder packs what is below d, whose path is prefix. all means that an
// ancestor was selected, and so is everything here.
func (p *packer) folder(d *os.Root, prefix string, depth int, places []place, all bool) error {
	names, err := p.names(d)
	if err != nil {
		return err
	}
	for _, name := range names {
		selected, below := all, []place(nil)
		if !all {
			selected, below = p.globs.enter(places, name)
		}
		if !selected && len(below) == 0 {
			continue
		}
		e := entry{d, name, prefix + name, depth}
		if err := p.entry(e, selected, below); err != nil {
			return err
		}
	}
	return nil
}

// names reads a folder in sorted order, as far as the limit on visits allows.
func (p *packer) names(d *os.Root) ([]string, error) {
	f, err := d.Open(".")
	if err != nil {
		return nil, err
	}
	defer f.Close()
	limit := visitFactor * p.o.MaxEntries
	names, err := f.Readdirnames(limit - p.visited + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	if p.visited += len(names); p.visited > limit {
		return nil, &LimitError{What: LimitEntries, Max: int64(p.o.MaxEntries)}
	}
	sort.Strings(names)
	return names, nil
}

// entry is a name in an open folder.
type entry struct {
	dir   *os.Root
	name  string // in dir
	path  string // in the archive
	depth int
}

func (p *packer) entry(e entry, selected bool, below []place) error {
	if len(e.path) >= p.o.MaxPath { // one byte is kept for a folder's slash
		p.stats.skip(e.path[:min(len(e.path), 64)]+"...", "path is too long")
		return nil
	}
	if e.depth > p.o.MaxDepth {
		p.stats.skip(e.path, "path is too deep")
		return nil
	}
	st, err := e.dir.Lstat(e.name)
	if vanished(err) {
		p.stats.skip(e.path, "vanished while packing")
		return nil
	}
	if err != nil {
		return err
	}
	if st.IsDir() {
		return p.enter(e, st, selected, below)
	}
	if !selected {
		return nil
	}
	switch st.Mode().Type() {
	case 0:
		return p.file(e, st)
	case fs.ModeSymlink:
		return p.symlink(e, st)
	}
	p.stats.skip(e.path, kindOf(st.Mode()))
	return nil
}

func (p *packer) enter(e entry, st fs.FileInfo, selected bool, below []place) error {
	sub, err := e.dir.OpenRoot(e.name)
	if vanished(err) || errors.Is(err, fs.ErrPermission) {
		p.stats.skip(e.path, "folder can't be opened")
		return nil
	}
	if err != nil {
		return err
	}
	defer sub.Close()
	h := p.header(e.path+"/", tar.TypeDir, st)
	if selected {
		if err := p.write(h); err != nil {
			return err
		}
	} else {
		p.parents = append(p.parents, h)
	}
	if err := p.folder(sub, e.path+"/", e.depth+1, below, selected); err != nil {
		return err
	}
	if n := len(p.parents); !selected && n > 0 {
		p.parents = p.parents[:n-1] // nothing below was selected, else it were written
	}
	return nil
}

func (p *packer) symlink(e entry, st fs.FileInfo) error {
	target, err := e.dir.Readlink(e.name)
	if err != nil {
		p.stats.skip(e.path, "link can't be read")
		return nil
	}
	h := p.header(e.path, tar.TypeSymlink, st)
	h.Linkname = target
	return p.write(h)
}

func (p *packer) header(path string, kind byte, st fs.FileInfo) *tar.Header {
	h := &tar.Header{Typeflag: kind, Name: path, Mode: int64(st.Mode().Perm()), ModTime: ClampTime(st.ModTime())}
	if !p.o.Latest.IsZero() && h.ModTime.After(p.o.Latest) {
		h.ModTime = ClampTime(p.o.Latest)
	}
	owner := ownerOf(st)
	if p.o.Owner != nil {
		owner = *p.o.Owner
	}
	h.Uid, h.Gid = owner.UID, owner.GID
	return h
}

// write emits the header, after those of its folders, and counts it.
func (p *packer) write(h *tar.Header) error {
	parents := p.parents
	p.parents = nil
	for _, parent := range parents {
		if err := p.emit(parent); err != nil {
			return err
		}
	}
	return p.emit(h)
}

func (p *packer) emit(h *tar.Header) error {
	if p.stats.Entries() >= p.o.MaxEntries {
		return &LimitError{What: LimitEntries, Max: int64(p.o.MaxEntries), Path: h.Name}
	}
	p.stats.count(h)
	return p.tar.WriteHeader(h)
}

func (s *Stats) count(h *tar.Header) {
	switch h.Typeflag {
	case tar.TypeDir:
		s.Dirs++
	case tar.TypeSymlink:
		s.Symlinks++
	case tar.TypeLink:
		s.Hardlinks++
	default:
		s.Files++
		s.Bytes += h.Size
	}
}

func vanished(err error) bool { return errors.Is(err, fs.ErrNotExist) }

func kindOf(m fs.FileMode) string {
	switch {
	case m&fs.ModeDevice != 0:
		return "device"
	case m&fs.ModeNamedPipe != 0:
		return "fifo"
	case m&fs.ModeSocket != 0:
		return "socket"
	}
	return "special file"
}
