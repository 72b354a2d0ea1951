// Package erofsfile writes a flattened tree as one EROFS image: uncompressed,
// 4 KiB blocks, the same bytes each time for the same tree.
//
// The format is written by go-erofs in its full-image mode. Its metadata-only
// mode and Merge are not used: both can produce images that read wrongly. What
// it lacks, hard links, is added here (see hardlinks.go).
package erofsfile

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"

	"github.com/erofs/go-erofs"

	"github.com/program-explorer/pe/imagesync/flatten"
)

const blockSize = 4096

// Write writes tree into file, which must be empty, readable and writable. It
// neither syncs nor closes it. The data of the tree's files must stay readable.
func Write(ctx context.Context, tree *flatten.Tree, file *os.File) error {
	links := findLinks(tree)
	out := &bufferedFile{file: file, w: bufio.NewWriterSize(file, 1<<20)}
	// The time of the whole image is fixed, for the same bytes each time.
	image := erofs.Create(out, erofs.WithBlockSize(blockSize), erofs.WithBuildTime(0, 0))
	if err := image.CopyFrom(&source{ctx: ctx, tree: tree, links: links}); err != nil {
		return fmt.Errorf("write erofs: %w", err)
	}
	if err := image.Close(); err != nil {
		return fmt.Errorf("write erofs: %w", err)
	}
	if err := out.w.Flush(); err != nil {
		return fmt.Errorf("write erofs: %w", err)
	}
	if err := links.join(file, tree); err != nil {
		return fmt.Errorf("write hard links: %w", err)
	}
	return nil
}

// bufferedFile gathers the many small writes of small files.
type bufferedFile struct {
	file *os.File
	w    *bufio.Writer
}

func (b *bufferedFile) Write(p []byte) (int, error) { return b.w.Write(p) }

func (b *bufferedFile) Seek(offset int64, whence int) (int64, error) {
	if err := b.w.Flush(); err != nil {
		return 0, err
	}
	return b.file.Seek(offset, whence)
}

// exactReader gives a file's bytes and fails when there are fewer than its size:
// go-erofs would go on with what follows at the wrong place.
type exactReader struct {
	ctx  context.Context
	data io.ReaderAt
	at   int64
	left int64
}

func (r *exactReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		return 0, io.EOF
	}
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.data.ReadAt(p[:min(int64(len(p)), r.left)], r.at)
	r.at += int64(n)
	r.left -= int64(n)
	if err == io.EOF {
		err = nil
		if n == 0 {
			err = io.ErrUnexpectedEOF
		}
	}
	return n, err
}
