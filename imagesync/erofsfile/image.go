package erofsfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/program-explorer/pe/imagesync/flatten"
)

// Where things are on disk: see the kernel's fs/erofs/erofs_fs.h.
const (
	superOffset   = 1024
	superMagic    = 0xE0F5E1E2
	slotSize      = 32 // inode numbers count these
	direntSize    = 12
	layoutPlain   = 0
	layoutInline  = 2
	maxFolderSize = 1 << 30
)

// image reads the folders of an image that was just written.
type image struct {
	r         io.ReaderAt
	metaStart int64
	root      uint64
}

// entryAt is a directory entry and where it is in the file.
type entryAt struct {
	node   *flatten.Node
	nid    uint64
	offset int64
}

func openImage(r io.ReaderAt) (*image, error) {
	var super [128]byte
	if _, err := r.ReadAt(super[:], superOffset); err != nil {
		return nil, err
	}
	if binary.LittleEndian.Uint32(super[0:]) != superMagic {
		return nil, errors.New("no EROFS superblock")
	}
	return &image{
		r:         r,
		root:      uint64(binary.LittleEndian.Uint16(super[14:])),
		metaStart: int64(binary.LittleEndian.Uint32(super[40:])) * blockSize,
	}, nil
}

// walk visits the entries below a folder whose tree node is known.
func (m *image) walk(n *flatten.Node, nid uint64, visit func(entryAt)) error {
	data, start, err := m.folder(nid)
	if err != nil {
		return fmt.Errorf("read folder %q: %w", n.Name, err)
	}
	for at := 0; at < len(data); at += blockSize {
		block := data[at:min(at+blockSize, len(data))]
		count := int(binary.LittleEndian.Uint16(block[8:])) / direntSize
		for i := range count {
			entry := block[i*direntSize:]
			name := entryName(block, i, count)
			if name == "." || name == ".." {
				continue
			}
			e := entryAt{
				node:   n.Child(name),
				nid:    binary.LittleEndian.Uint64(entry),
				offset: start + int64(at+i*direntSize),
			}
			if e.node == nil {
				return fmt.Errorf("unknown entry %q in folder %q", name, n.Name)
			}
			visit(e)
			if e.node.Inode.Mode.IsDir() {
				if err := m.walk(e.node, e.nid, visit); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// entryName returns a name of a block; names lie end to end behind the entries.
func entryName(block []byte, i, count int) string {
	start := int(binary.LittleEndian.Uint16(block[i*direntSize+8:]))
	end := len(block)
	if i+1 < count {
		end = int(binary.LittleEndian.Uint16(block[(i+1)*direntSize+8:]))
	}
	name, _, _ := bytes.Cut(block[start:end], []byte{0})
	return string(name)
}

// folder returns a folder's entries and where they are in the file.
func (m *image) folder(nid uint64) (data []byte, start int64, err error) {
	at := m.metaStart + int64(nid)*slotSize
	var inode [64]byte
	if _, err := m.r.ReadAt(inode[:], at); err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, err
	}
	format := binary.LittleEndian.Uint16(inode[0:])
	size, header := uint64(binary.LittleEndian.Uint32(inode[8:])), int64(32)
	if format&1 != 0 {
		size, header = binary.LittleEndian.Uint64(inode[8:]), 64
	}
	if size > maxFolderSize {
		return nil, 0, fmt.Errorf("%d bytes of entries", size)
	}
	switch format >> 1 & 7 {
	case layoutPlain:
		start = int64(binary.LittleEndian.Uint32(inode[16:])) * blockSize
	case layoutInline:
		start = at + header
		if slots := int64(binary.LittleEndian.Uint16(inode[2:])); slots > 0 {
			start += 12 + (slots-1)*4
		}
	default:
		return nil, 0, fmt.Errorf("layout %d", format>>1&7)
	}
	data = make([]byte, size)
	_, err = m.r.ReadAt(data, start)
	return data, start, err
}
