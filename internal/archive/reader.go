package archive

import (
	"archive/tar"
	"bufio"
	"errors"
	"io"
)

// Reader reads a hostile tar entry by entry. It differs from tar.Reader in that
// it counts entries, reads no further than the limits could need (a stream of
// nothing but extended headers has no entries to count), and insists on the
// trailer: without it, an archive cut between two entries would look whole.
type Reader struct {
	tar     *tar.Reader
	in      *bounded
	limits  Limits
	headers int
}

// NewReader reads a plain tar from r. It may read ahead of what it gives, so
// nothing that is wanted may follow the archive in r.
func NewReader(r io.Reader, l Limits) *Reader {
	l = l.WithDefaults()
	in := &bounded{r: bufio.NewReaderSize(r, bufferSize), left: l.ArchiveSize(), max: l.ArchiveSize()}
	return &Reader{tar: tar.NewReader(in), in: in, limits: l}
}

// Next goes to the next entry. It gives io.EOF at the trailer,
// io.ErrUnexpectedEOF where that is missing, *LimitError beyond the limits.
func (r *Reader) Next() (*tar.Header, error) {
	for {
		h, err := r.tar.Next()
		if errors.Is(err, io.EOF) && r.in.ended {
			return nil, io.ErrUnexpectedEOF
		}
		if err != nil {
			return nil, err
		}
		if err := r.Charge(h.Name); err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeXGlobalHeader {
			return h, nil
		}
	}
}

// Charge counts one entry more, for instance a folder that is only implied.
func (r *Reader) Charge(name string) error {
	if r.headers++; r.headers > r.limits.MaxEntries {
		return &LimitError{What: LimitEntries, Max: int64(r.limits.MaxEntries), Path: name}
	}
	return nil
}

// Read gives the content of the current entry.
func (r *Reader) Read(p []byte) (int, error) { return r.tar.Read(p) }

// bounded gives up after max bytes, and notes when its reader ended.
type bounded struct {
	r         io.Reader
	left, max int64
	ended     bool
}

func (b *bounded) Read(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, &LimitError{What: LimitArchive, Max: b.max}
	}
	if int64(len(p)) > b.left {
		p = p[:b.left]
	}
	n, err := b.r.Read(p)
	b.left -= int64(n)
	if n == 0 && errors.Is(err, io.EOF) {
		b.ended = true
	}
	return n, err
}
