package imagesync

import (
	"archive/tar"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
)

// What a catalog's entry may ask for. Words and text are as for jobs.
const (
	maxWarmups        = 16 // commands of one image
	maxWarmupWords    = 1024
	maxWarmupText     = 128 << 10 // bytes
	defaultWarmupTime = time.Minute
	maxWarmupTime     = 10 * time.Minute
	maxWarmupFiles    = 256 << 20 // bytes: what a warm-up may write
	maxPool           = 64        // machines
)

// Warmup is a command that runs in a machine of an image before the machine has
// a job. What it writes is there for every job.
type Warmup struct {
	// Argv is the program and its arguments: 1 to 1024, the first not empty.
	Argv []string
	// Env is a list of NAME=value in the order of their bytes, at most 1024, to be
	// added to the image's environment; a name given here wins.
	Env []string
	// Timeout is 1 ms to 10 minutes. Default 1 minute.
	Timeout time.Duration
	// Files are unpacked first. Nil for none.
	Files *WarmupFiles
}

// WarmedUp is a digest of what a warm-up does, as far as its jobs can see; empty
// without one.
func (e CatalogEntry) WarmedUp() string {
	if len(e.Warmup) == 0 {
		return ""
	}
	sum := newSHA256()
	for _, w := range e.Warmup {
		files := ""
		if w.Files != nil {
			files = w.Files.SHA256
		}
		fmt.Fprintf(sum, "%q %q %s %s\n", w.Argv, w.Env, w.Timeout, files)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// PoolSize is how many machines of an image wait ready: 0 ≤ Min ≤ Max ≤ 64.
type PoolSize struct {
	// Min is how many wait even if nobody asks.
	Min int
	// Max is how many wait at most. 0: none does.
	Max int
}

// WarmupFiles is a plain tar, as it was when its catalog was read.
type WarmupFiles struct {
	// Path is absolute.
	Path string
	// SHA256 is 64 hex digits.
	SHA256 string
	// Size is 1 to 2^28 bytes.
	Size int64
}

// Open returns the tar's content. Reading fails, at its end instead of io.EOF,
// unless the content is still what it was: read all of it.
func (f *WarmupFiles) Open() (io.ReadCloser, error) {
	file, size, err := openWarmupFiles(f.Path)
	if err != nil {
		return nil, err
	}
	if size != f.Size {
		file.Close()
		return nil, f.changed(fmt.Errorf("it has %d bytes, not %d", size, f.Size))
	}
	want := v1.Descriptor{Digest: v1.Hash{Algorithm: "sha256", Hex: f.SHA256}, Size: f.Size}
	return &warmupReader{f, file, newVerifier(file, want, nil)}, nil
}

func (f *WarmupFiles) changed(err error) error {
	return fmt.Errorf("warm-up files %s are not what they were when the catalog was read; restart to use them as they are: %w", f.Path, err)
}

// warmupReader says whose content it is that fails to verify.
type warmupReader struct {
	files *WarmupFiles
	file  *os.File
	inner io.Reader
}

func (r *warmupReader) Read(p []byte) (int, error) {
	n, err := r.inner.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		err = r.files.changed(err)
	}
	return n, err
}

func (r *warmupReader) Close() error { return r.file.Close() }

// noteWarmupFiles reads a tar once, to know it again.
func noteWarmupFiles(path, dir string) (*WarmupFiles, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	file, size, err := openWarmupFiles(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	sum := newSHA256()
	content := io.TeeReader(io.LimitReader(file, size), sum)
	if _, err := tar.NewReader(content).Next(); err != nil {
		return nil, fmt.Errorf("files %s are no plain tar with something in it; a compressed one must be unpacked: %w", path, err)
	}
	if _, err := io.Copy(io.Discard, content); err != nil {
		return nil, fmt.Errorf("read files: %w", err)
	}
	return &WarmupFiles{Path: path, SHA256: hex.EncodeToString(sum.Sum(nil)), Size: size}, nil
}

// openWarmupFiles looks before it opens: to open a pipe could take for ever.
func openWarmupFiles(path string) (*os.File, int64, error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("find files: %w", err)
	case !info.Mode().IsRegular():
		return nil, 0, fmt.Errorf("files %s: want a tar, not a %s", path, kindOfFile(info))
	case info.Size() == 0 || info.Size() > maxWarmupFiles:
		return nil, 0, fmt.Errorf("files %s have %d bytes: want 1 to %d", path, info.Size(), maxWarmupFiles)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, 0, fmt.Errorf("open files: %w", err)
	}
	return file, info.Size(), nil
}

func kindOfFile(info os.FileInfo) string {
	if info.IsDir() {
		return "folder"
	}
	return "special file"
}
