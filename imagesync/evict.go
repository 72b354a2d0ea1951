package imagesync

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// Info describes an image in the cache.
type Info struct {
	Reference string    `json:"reference"`
	Digest    string    `json:"digest"`
	Platform  string    `json:"platform"`
	Size      int64     `json:"size"` // bytes of the EROFS file
	Created   time.Time `json:"created"`
	Used      time.Time `json:"used"`
	// Imported is true for a name that an import gave; such a one has no
	// platform, and a size of 0, as no EROFS file belongs to it alone.
	Imported bool `json:"imported,omitempty"`
}

// List returns the images in the cache, the last used first, and the imported names.
func (c *Cache) List() ([]Info, error) {
	built, err := c.built()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	imported, err := c.importedNames()
	if err != nil {
		return nil, fmt.Errorf("list images: %w", err)
	}
	return append(built, imported...), nil
}

func (c *Cache) built() ([]Info, error) {
	entries, err := os.ReadDir(c.path(imagesName))
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, e := range entries {
		file, m, err := readMeta(c.path(imagesName, e.Name(), metaName))
		if err != nil {
			continue // evicted meanwhile, or of another version: built again when asked for
		}
		info, err := file.Stat()
		file.Close()
		if err != nil {
			return nil, err
		}
		list = append(list, Info{
			Reference: m.Reference, Digest: m.Digest, Platform: m.Platform,
			Size: m.ErofsSize, Created: m.Created, Used: info.ModTime(),
		})
	}
	slices.SortFunc(list, func(a, b Info) int {
		return cmp.Or(b.Used.Compare(a.Used), cmp.Compare(a.Digest, b.Digest))
	})
	return list, nil
}

// Evict removes images until the cache is within its bound: those used longest
// ago first, and none that is in use. Get does so after each build.
func (c *Cache) Evict() error {
	images, err := c.built()
	if err != nil {
		return fmt.Errorf("evict images: %w", err)
	}
	var sum int64
	for _, i := range images {
		sum += i.Size
	}
	for _, i := range slices.Backward(images) {
		if sum <= c.config.MaxBytes {
			return nil
		}
		err := c.evict(i.Digest)
		if errors.Is(err, ErrInUse) {
			continue
		}
		if err != nil {
			return fmt.Errorf("evict image %s: %w", i.Digest, err)
		}
		c.log.Info("evicted image", "digest", i.Digest, "reference", i.Reference, "bytes", i.Size)
		sum -= i.Size
	}
	if sum > c.config.MaxBytes {
		c.log.Warn("images in use exceed the cache's bound", "bytes", sum, "bound", c.config.MaxBytes)
	}
	return nil
}

// evict removes an image that nobody has pinned.
func (c *Cache) evict(digest string) error {
	hash, err := parseDigest(digest)
	if err != nil {
		return err
	}
	dir := c.path(imagesName, hash.Hex)
	file, _, err := readMeta(c.path(imagesName, hash.Hex, metaName))
	if errors.Is(err, errAbsent) {
		return nil
	}
	if err != nil {
		return os.RemoveAll(dir)
	}
	defer file.Close()
	if err := flock(file, unix.LOCK_EX|unix.LOCK_NB); err != nil {
		if errors.Is(err, unix.EWOULDBLOCK) {
			return ErrInUse
		}
		return err
	}
	work, done, err := c.workDir()
	if err != nil {
		return err
	}
	defer done()
	// The name goes at once, the files after it: nobody sees half an image.
	if err := os.Rename(dir, work+"/evicted"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// Remove removes what a name or a digest stands for: an imported name, an image
// by its digest, or all images that were pulled by a reference. It is ErrInUse
// when a job has it pinned, and ErrNotFound when there is nothing.
func (c *Cache) Remove(reference string) error {
	removed, err := c.removeImport(reference)
	if err != nil {
		return fmt.Errorf("remove image %s: %w", reference, err)
	}
	images, err := c.built()
	if err != nil {
		return fmt.Errorf("remove image %s: %w", reference, err)
	}
	names := []string{reference}
	if p, err := c.sources.locate(reference); err == nil {
		names = append(names, p.text)
	}
	for _, i := range images {
		if i.Digest != reference && !slices.Contains(names, i.Reference) {
			continue
		}
		if err := c.evict(i.Digest); err != nil {
			return &Error{Kind: ErrInUse, Reference: reference, Err: err}
		}
		removed = true
	}
	if !removed {
		return fail(ErrNotFound, reference, "neither imported nor in the cache")
	}
	return nil
}
