package imagesync

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

const (
	erofsName = "image.erofs"
	metaName  = "image.json"
	// metaFormat changes when files that older versions built should not be
	// used any more.
	metaFormat = 1
)

// Image is an image in the cache. Its files stay until Release.
type Image struct {
	// Reference is what it was asked for by.
	Reference string
	// Digest is that of the platform's manifest.
	Digest string
	// Platform is linux/<architecture>, perhaps with a variant.
	Platform string
	// ErofsPath is the file, readable by all. It never changes.
	ErofsPath   string
	ErofsSHA256 string // hex
	ErofsSize   int64  // bytes
	Config      ImageConfig
	// Warmup and Pool are those of the catalog's entry for Reference, and not to be
	// changed: none, and nil, where the catalog has no such entry.
	Warmup []Warmup
	Pool   *PoolSize

	release sync.Once
	pin     *os.File
}

// Release lets the image be evicted. It may be called more than once.
func (i *Image) Release() { i.release.Do(func() { i.pin.Close() }) }

// meta is what lies beside an EROFS file.
type meta struct {
	Format      int         `json:"format"`
	Reference   string      `json:"reference"`
	Digest      string      `json:"digest"`
	Platform    string      `json:"platform"`
	ErofsSHA256 string      `json:"erofs_sha256"`
	ErofsSize   int64       `json:"erofs_size"`
	Config      ImageConfig `json:"config"`
	// Private images were pulled with credentials: see Cache.Get.
	Private bool      `json:"private,omitempty"`
	Created time.Time `json:"created"`
}

// errAbsent: the cache has no such image.
var errAbsent = errors.New("not in the cache")

// pinned opens an image and holds a shared lock on it, which keeps every
// process from evicting it.
func (c *Cache) pinned(digest v1.Hash) (*Image, meta, error) {
	path := c.path(imagesName, digest.Hex, metaName)
	file, m, err := readMeta(path)
	if err != nil {
		return nil, meta{}, err
	}
	err = flock(file, unix.LOCK_SH)
	if err == nil {
		// It may have been evicted, and even built again, before the lock.
		err = sameFile(file, path)
	}
	if err != nil {
		file.Close()
		return nil, meta{}, err
	}
	now := time.Now()
	if err := os.Chtimes(path, now, now); err != nil {
		c.log.Warn("note the use of an image", "digest", digest.String(), "error", err)
	}
	return &Image{
		Reference: m.Reference, Digest: m.Digest, Platform: m.Platform, Config: m.Config,
		ErofsPath: filepath.Join(filepath.Dir(path), erofsName), ErofsSHA256: m.ErofsSHA256, ErofsSize: m.ErofsSize,
		pin: file,
	}, m, nil
}

// readMeta reads and checks what lies beside an EROFS file.
func readMeta(path string) (*os.File, meta, error) {
	var m meta
	file, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, m, errAbsent
	}
	if err != nil {
		return nil, m, err
	}
	raw, err := io.ReadAll(io.LimitReader(file, maxConfig+64<<10))
	if err == nil {
		err = json.NewDecoder(bytes.NewReader(raw)).Decode(&m)
	}
	var info fs.FileInfo
	if err == nil {
		info, err = os.Stat(filepath.Join(filepath.Dir(path), erofsName))
	}
	if err == nil && (m.Format != metaFormat || info.Size() != m.ErofsSize) {
		err = fmt.Errorf("%s does not match its image", path)
	}
	if err != nil {
		file.Close()
		return nil, m, err
	}
	return file, m, nil
}

func sameFile(file *os.File, path string) error {
	held, err := file.Stat()
	if err != nil {
		return err
	}
	now, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !os.SameFile(held, now) {
		return errAbsent
	}
	return err
}
