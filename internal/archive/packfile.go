package archive

import (
	"archive/tar"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// file packs one regular file, or a link to where it is packed already.
func (p *packer) file(e entry, st fs.FileInfo) error {
	id, several := inodeOf(st)
	if first, ok := p.inodes[id]; several && ok {
		h := p.header(e.path, tar.TypeLink, st)
		h.Linkname = first
		return p.write(h)
	}
	f, st, reason := openRegular(e, st)
	if reason != "" {
		p.stats.skip(e.path, reason)
		return nil
	}
	defer f.Close()
	if st.Size() > p.o.MaxBytes-p.stats.Bytes {
		return &LimitError{What: LimitBytes, Max: p.o.MaxBytes, Path: e.path}
	}
	h := p.header(e.path, tar.TypeReg, st)
	h.Size = st.Size()
	if err := p.write(h); err != nil {
		return err
	}
	if several {
		p.inodes[id] = e.path
	}
	return p.content(e, f, h.Size)
}

// openRegular opens the file that st described: what has its name by now may
// be a FIFO, which must not block, or a link to another file of the tree.
func openRegular(e entry, st fs.FileInfo) (*os.File, fs.FileInfo, string) {
	f, err := e.dir.OpenFile(e.name, os.O_RDONLY|openNonblock, 0)
	if err != nil {
		return nil, nil, "file can't be opened"
	}
	now, err := f.Stat()
	if err != nil || !os.SameFile(st, now) {
		f.Close()
		return nil, nil, "replaced while packing"
	}
	return f, now, ""
}

// content writes exactly size bytes of f.
func (p *packer) content(e entry, f *os.File, size int64) error {
	// The wrapper hides File.WriteTo, which would bring its own small buffer.
	n, err := io.CopyBuffer(p.tar, struct{ io.Reader }{io.LimitReader(f, size)}, p.buf)
	if err != nil {
		return fmt.Errorf("%q: %w", e.path, err)
	}
	if n < size {
		p.stats.changed(e.path, fmt.Sprintf("shrank from %d to %d bytes while packing; filled with zeros", size, n))
		_, err := io.CopyBuffer(p.tar, io.LimitReader(zeros{}, size-n), p.buf)
		return err
	}
	if st, err := f.Stat(); err == nil && st.Size() > size {
		p.stats.changed(e.path, fmt.Sprintf("grew beyond %d bytes while packing; cut", size))
	}
	return nil
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
