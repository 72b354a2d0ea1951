package atrest

import (
	"archive/tar"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/program-explorer/pe/internal/archive"
)

// Repack turns a hostile guest's tar into an archive at rest, in one pass, and
// gives its index.
//
// Headers are written anew: permission bits, time to the second, user and
// group 0, no extended attributes. Names keep every byte. What must not reach a
// user's disk is skipped and listed: absolute names and "..", links that leave
// the archive (see archive.CheckLink), hard links to anything but an earlier
// file, devices and FIFOs, names below a link, and the second of two entries
// with one name (our Pack never makes one; the first is in the archive already).
// Too many bytes or entries are a *archive.LimitError.
func Repack(r io.Reader, w io.Writer, l archive.Limits) (Index, error) {
	l = indexable(l)
	out := newMeasured(w)
	f, err := newFrames(out)
	if err != nil {
		return Index{}, fmt.Errorf("repack outputs: %w", err)
	}
	p := &repacker{
		in: archive.NewReader(r, l), out: out, frames: f, tar: tar.NewWriter(f),
		limits: l, seen: newTree(), buf: make([]byte, copySize), index: Index{Version: Version, Entries: []Entry{}},
	}
	if err := p.run(); err != nil {
		return Index{}, fmt.Errorf("repack outputs: %w", err)
	}
	return p.index, nil
}

// indexable lowers limits to what DecodeIndex accepts.
func indexable(l archive.Limits) archive.Limits {
	l = l.WithDefaults()
	l.MaxEntries = min(l.MaxEntries, archive.DefaultMaxEntries)
	l.MaxPath = min(l.MaxPath, archive.DefaultMaxPath)
	l.MaxDepth = min(l.MaxDepth, archive.DefaultMaxDepth)
	return l
}

type repacker struct {
	in     *archive.Reader
	out    *measured
	frames *frames
	tar    *tar.Writer // writes into frames
	limits archive.Limits
	seen   *tree
	buf    []byte
	index  Index
}

func (p *repacker) run() error {
	for {
		h, err := p.in.Next()
		if errors.Is(err, io.EOF) {
			return p.finish()
		}
		if err != nil {
			return err
		}
		if err := p.entry(h); err != nil {
			return err
		}
	}
}

// finish writes the tar's trailer as a frame of its own.
func (p *repacker) finish() error {
	if err := p.tar.Close(); err != nil {
		return err
	}
	if err := p.frames.flush(); err != nil {
		return err
	}
	p.index.ArchiveSize, p.index.ArchiveSHA256 = p.out.n, digest(p.out.hash)
	return nil
}

func (p *repacker) skip(name, reason string) {
	p.index.SkippedTotal++
	if len(p.index.Skipped) < archive.MaxRemarks {
		short := lossy(name[:min(len(name), maxSkipPath)])
		p.index.Skipped = append(p.index.Skipped, Skipped{short[:min(len(short), 2*maxSkipPath)], reason})
	}
}

// entry writes one entry, or skips it.
func (p *repacker) entry(h *tar.Header) error {
	e, err := p.accept(h)
	var refused *archive.RefusedError
	var limit *archive.LimitError
	switch {
	case errors.As(err, &refused):
		p.skip(h.Name, refused.Reason)
		return nil
	case errors.As(err, &limit) && limit.What != archive.LimitBytes:
		p.skip(h.Name, limit.What+" beyond the limit")
		return nil
	case err != nil:
		return err
	case e == nil: // the root itself
		return nil
	}
	e.Offset = p.out.n
	if e.Type == TypeFile && h.Size > smallEntry {
		err = p.large(e, h)
	} else {
		err = p.small(e, h)
	}
	if err != nil {
		return fmt.Errorf("%q: %w", e.Path, err)
	}
	e.Length = p.out.n - e.Offset
	p.index.Entries = append(p.index.Entries, *e)
	return nil
}

// accept checks the header and rewrites it; nil without an error is the root.
func (p *repacker) accept(h *tar.Header) (*Entry, error) {
	name, err := archive.CleanName(h.Name, p.limits)
	if err != nil {
		return nil, err
	}
	if name == "." {
		if h.Typeflag != tar.TypeDir {
			return nil, &archive.RefusedError{Path: h.Name, Reason: "only a folder can be the root"}
		}
		return nil, nil
	}
	e := &Entry{Mode: uint32(h.Mode & 0o777), MTimeUS: archive.ClampTime(h.ModTime).UnixMicro()}
	e.Path, e.PathBase64 = readable(name)
	link, err := p.classify(e, name, h)
	if err != nil {
		return nil, err
	}
	e.Link, e.LinkBase64 = readable(link)
	*h = tar.Header{Typeflag: h.Typeflag, Name: name, Linkname: link, Mode: int64(e.Mode), Size: e.Size, ModTime: archive.ClampTime(h.ModTime)}
	if e.Type == TypeDir {
		h.Name += "/"
	}
	if e.Type == TypeFile {
		h.Typeflag = tar.TypeReg
	}
	return e, nil
}

// classify sets type and size, counts, and gives the link's target.
func (p *repacker) classify(e *Entry, name string, h *tar.Header) (string, error) {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeGNUSparse:
		if h.Size < 0 || h.Size > p.limits.MaxBytes-p.index.Bytes {
			return "", &archive.LimitError{What: archive.LimitBytes, Max: p.limits.MaxBytes, Path: name}
		}
		if err := p.seen.admit(name, isFile); err != nil {
			return "", err
		}
		e.Type, e.Size = TypeFile, h.Size
		p.index.Files++
		p.index.Bytes += h.Size
		return "", nil
	case tar.TypeDir:
		e.Type = TypeDir
		return "", p.seen.admit(name, isDir)
	case tar.TypeSymlink:
		if err := archive.CheckLink(name, h.Linkname, p.limits); err != nil {
			return "", err
		}
		e.Type = TypeSymlink
		return h.Linkname, p.seen.admit(name, isLink)
	case tar.TypeLink:
		target, err := archive.CleanName(h.Linkname, p.limits)
		if err != nil {
			return "", err
		}
		if p.seen.kinds[target] != isFile {
			return "", &archive.RefusedError{Path: name, Reason: "hard link to something else than an earlier file"}
		}
		if err := p.seen.admit(name, isLink); err != nil {
			return "", err
		}
		e.Type = TypeHardlink
		p.index.Files++
		return target, nil
	}
	return "", &archive.RefusedError{Path: name, Reason: specialName(h.Typeflag)}
}

func specialName(flag byte) string {
	switch flag {
	case tar.TypeChar, tar.TypeBlock:
		return "device"
	case tar.TypeFifo:
		return "fifo"
	}
	return fmt.Sprintf("entry of type %q", flag)
}

// small writes an entry from memory: that saves setting a stream up and tearing it down.
func (p *repacker) small(e *Entry, h *tar.Header) error {
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	e.Header = int64(p.frames.memory.Len())
	if e.Type == TypeFile {
		content := p.buf[:e.Size]
		if _, err := io.ReadFull(p.in, content); err != nil {
			return unexpected(err)
		}
		if _, err := p.tar.Write(content); err != nil {
			return err
		}
		e.SHA256, e.MediaType = digestOf(content), mediaType(h.Name, content)
	}
	if err := p.tar.Flush(); err != nil {
		return err
	}
	return p.frames.flush()
}

// large streams a file through the encoder, or stores it.
func (p *repacker) large(e *Entry, h *tar.Header) error {
	head := p.buf[:smallEntry]
	if _, err := io.ReadFull(p.in, head); err != nil {
		return unexpected(err)
	}
	e.MediaType = mediaType(h.Name, head)
	// The header goes to memory first, for its length.
	if err := p.tar.WriteHeader(h); err != nil {
		return err
	}
	e.Header = int64(p.frames.memory.Len())
	frame := p.frames.stream(p.frames.compressible(head))
	if _, err := p.frames.memory.WriteTo(p.frames.sink); err != nil {
		return err
	}
	sum := sha256.New()
	for rest := e.Size; ; head = p.buf[:min(rest, copySize)] {
		if rest < e.Size { // all but the head are still to be read
			if _, err := io.ReadFull(p.in, head); err != nil {
				return unexpected(err)
			}
		}
		sum.Write(head)
		if _, err := p.tar.Write(head); err != nil {
			return err
		}
		if rest -= int64(len(head)); rest == 0 {
			break
		}
	}
	e.SHA256 = digest(sum)
	if err := p.tar.Flush(); err != nil {
		return err
	}
	return frame.Close()
}

// unexpected: a content that ends before its header said so is a truncated archive.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
