package sandbox

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"syscall"
	"time"

	"github.com/program-explorer/pe/internal/archive"
)

// unpackInputs unpacks the input tar, if there is one, into the working directory or the root.
func (c *child) unpackInputs() (*Prepared, error) {
	fd, ok := c.fds[FDInput]
	if !ok {
		return &Prepared{}, nil
	}
	file := os.NewFile(uintptr(fd), "input")
	defer file.Close()
	var r io.Reader = file
	if c.setup.InputSize > 0 {
		r = io.LimitReader(file, c.setup.InputSize)
	}
	folder := c.setup.Cwd
	if c.setup.InputRoot {
		folder = "/"
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, refuse(notExecutable, "%s: %v", folder, cause(err))
	}
	defer root.Close()
	stats, err := archive.Unpack(r, root, archive.UnpackOptions{
		Owner: &archive.Owner{UID: int(c.user.uid), GID: int(c.user.gid)},
	})
	if err != nil {
		return nil, unpackError(err)
	}
	// What follows the tar's end is the sender's padding; it must not see a closed pipe.
	_, _ = io.Copy(io.Discard, r)
	return &Prepared{Bytes: stats.Bytes, Entries: int64(stats.Entries())}, nil
}

// unpackError tells what the job's files got wrong from a channel or disk that failed.
func unpackError(err error) error {
	var refused *archive.RefusedError
	var limit *archive.LimitError
	switch {
	case errors.Is(err, syscall.ENOSPC):
		return refuse(notExecutable, "inputs do not fit in the scratch space")
	case errors.As(err, &refused), errors.As(err, &limit), errors.Is(err, tar.ErrHeader):
		return refuse(notExecutable, "inputs: %v", err)
	case errors.Is(err, syscall.EROFS), errors.Is(err, syscall.ENOTDIR), errors.Is(err, syscall.EISDIR), errors.Is(err, syscall.ENAMETOOLONG):
		return refuse(notExecutable, "inputs: %v", err)
	}
	return fmt.Errorf("read inputs: %w", err)
}

// packOutputs packs /output onto a descriptor. An empty /output costs nothing.
func (c *child) packOutputs(fd int) (*Collected, error) {
	out := &Collected{}
	w := &counter{w: os.NewFile(uintptr(fd), "output")}
	defer w.w.Close()
	// The job may have taken it away, or put a link in its place. Nothing of it runs any more,
	// so what this sees is what is opened.
	if info, err := os.Lstat(outputFolder); err != nil || !info.IsDir() {
		return out, nil
	}
	root, err := os.OpenRoot(outputFolder)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", outputFolder, err)
	}
	defer root.Close()
	if empty(root) {
		return out, nil
	}
	stats, err := archive.Pack(w, root, c.setup.Patterns, archive.PackOptions{
		Limits: archive.Limits{MaxBytes: c.setup.OutputLimit}, Owner: &archive.Owner{}, Latest: time.Now(),
	})
	var limit *archive.LimitError
	if errors.As(err, &limit) || errors.Is(err, syscall.ENOSPC) {
		out.OverSize, err = true, nil
	}
	if err != nil {
		return nil, err
	}
	out.Bytes, out.Entries, out.Skipped = w.n, int64(stats.Entries()), int64(stats.SkippedTotal)
	for _, s := range stats.Skipped[:min(len(stats.Skipped), maxSkipped)] {
		out.Paths = append(out.Paths, skipped(s))
	}
	return out, flush(w.w)
}

// maxSkipped is how many paths of skipped files are named.
const maxSkipped = 16

// skipped is a line for people: any bytes may be in a path.
func skipped(s archive.Remark) string {
	path := s.Path
	if len(path) > 200 {
		path = path[:200]
	}
	return strconv.QuoteToASCII(path) + ": " + s.Reason
}

func empty(root *os.Root) bool {
	f, err := root.Open(".")
	if err != nil {
		return false
	}
	defer f.Close()
	names, err := f.Readdirnames(1)
	return len(names) == 0 && errors.Is(err, io.EOF)
}

// flush brings what was written to a disk to its device; a pipe has nothing to flush.
func flush(f *os.File) error {
	if err := f.Sync(); err != nil && !errors.Is(err, syscall.EINVAL) && !errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("flush outputs: %w", err)
	}
	return nil
}

// counter counts the bytes of the tar.
type counter struct {
	w *os.File
	n int64
}

func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	c.n += int64(n)
	return n, err
}
