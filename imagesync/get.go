package imagesync

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/sys/unix"
)

// pollEvery is how often someone who waits for another's build looks.
const pollEvery = 50 * time.Millisecond

// Get returns the image of a digest for an architecture (amd64, linux/arm64, …),
// and builds it first if need be: once, whoever else asks for it meanwhile, in
// this process or another. digest is that of a manifest or index, as a Resolver
// gives it. The caller must Release the image.
//
// An image that was pulled with the operator's credentials is given to those who
// ask for an entry of the catalog, or who could pull it themselves. What the
// catalog says of warm-up and pool is that of this Cache's own catalog.
// Errors that concern the image are of type *Error.
func (c *Cache) Get(ctx context.Context, reference, digest, arch string) (*Image, error) {
	p, err := c.sources.locate(reference)
	if err != nil {
		return nil, err
	}
	image, err := c.get(ctx, p, digest, arch)
	if err != nil {
		return nil, explain(reference, p, err)
	}
	image.Reference = reference
	if entry, found := c.sources.Catalog.entryOf(p); found {
		image.Warmup, image.Pool = entry.Warmup, entry.Pool
	}
	return image, nil
}

func (c *Cache) get(ctx context.Context, p place, digest, arch string) (*Image, error) {
	wanted, err := parseDigest(digest)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	platform, err := platformOf(arch)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	image, err := c.hit(ctx, p, wanted, platform)
	if !errors.Is(err, errAbsent) {
		return image, err
	}
	o, done, authenticated, err := c.sources.open(ctx, p)
	if err != nil {
		return nil, err
	}
	defer done()
	raw, err := fetchManifest(ctx, o, wanted)
	if err != nil {
		return nil, err
	}
	found, err := selectImage(ctx, o, raw, platform)
	if err != nil {
		return nil, err
	}
	image, err = c.buildOnce(ctx, o, p, found, authenticated)
	if err != nil {
		return nil, err
	}
	if found.digest != wanted {
		if err := c.notePlatform(wanted, platform, found.digest); err != nil {
			c.log.Warn("note the platform of an index", "digest", digest, "error", err)
		}
	}
	return image, nil
}

// hit returns an image that is there, without asking its registry unless it must.
func (c *Cache) hit(ctx context.Context, p place, wanted v1.Hash, platform v1.Platform) (*Image, error) {
	digest := wanted
	if noted, err := os.ReadFile(c.platformPath(wanted, platform)); err == nil {
		if digest, err = parseDigest(string(noted)); err != nil {
			return nil, errAbsent
		}
	}
	image, m, err := c.pinned(digest)
	if err != nil {
		return nil, errAbsent // what cannot be read is built again
	}
	have, err := platformOf(m.Platform)
	if err == nil && !matches(have, platform) {
		err = &wrongPlatform{want: platform.String(), have: []string{m.Platform}}
	}
	if err == nil && m.Private && !c.sources.entitled(p) {
		err = c.checkAccess(ctx, p, wanted)
	}
	if err != nil {
		image.Release()
		return nil, err
	}
	return image, nil
}

// checkAccess fetches the manifest as the asker, without the operator's credentials.
func (c *Cache) checkAccess(ctx context.Context, p place, digest v1.Hash) error {
	o, done, _, err := c.sources.open(ctx, p)
	if err != nil {
		return err
	}
	defer done()
	_, err = fetchManifest(ctx, o, digest)
	return err
}

// platformPath is a note of which image an index has for a platform. An index
// is named by its digest, so the note is true for ever.
func (c *Cache) platformPath(index v1.Hash, platform v1.Platform) string {
	name := index.Hex + "-" + hex.EncodeToString([]byte(platform.Architecture+"/"+platform.Variant))
	return c.path(platformsName, name)
}

func (c *Cache) notePlatform(index v1.Hash, platform v1.Platform, image v1.Hash) error {
	return writeFileSynced(c.platformPath(index, platform), []byte(image.String()))
}

// buildOnce builds an image unless somebody else has done so meanwhile.
func (c *Cache) buildOnce(ctx context.Context, o origin, p place, found *imageManifest, private bool) (*Image, error) {
	lock, err := c.lockBuild(ctx, found.digest)
	if err != nil {
		return nil, err
	}
	defer lock.Close()
	if image, _, err := c.pinned(found.digest); err == nil {
		return image, nil
	}
	counter := c.startBuild(found)
	defer c.endBuild(found.digest)
	started := time.Now()
	image, err := c.buildAndPublish(ctx, o, p, found, private, counter)
	if err != nil {
		return nil, err
	}
	c.log.Info("built image", "reference", p.text, "digest", image.Digest, "platform", image.Platform,
		"bytes", image.ErofsSize, "took", time.Since(started))
	if err := c.Evict(); err != nil {
		c.log.Warn("evict images", "error", err)
	}
	return image, nil
}

// lockBuild waits for the right to build an image. A build that fails, or whose
// process dies, passes it on: the next one tries for itself.
func (c *Cache) lockBuild(ctx context.Context, digest v1.Hash) (*os.File, error) {
	file, err := os.OpenFile(c.path(locksName, digest.Hex), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	report := newReporter(ctx)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := flock(file, unix.LOCK_EX|unix.LOCK_NB)
		if err == nil {
			return file, nil
		}
		if !errors.Is(err, unix.EWOULDBLOCK) {
			file.Close()
			return nil, err
		}
		select {
		case <-ctx.Done():
			file.Close()
			return nil, ctx.Err()
		case <-ticker.C:
		}
		if counter := c.building(digest); counter != nil {
			report.tell(counter.read())
		}
	}
}

func (c *Cache) startBuild(found *imageManifest) *progressCounter {
	counter := &progressCounter{}
	for _, d := range found.manifest.Layers {
		counter.total.Add(max(0, d.Size))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.builds[found.digest.Hex] = counter
	return counter
}

func (c *Cache) endBuild(digest v1.Hash) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.builds, digest.Hex)
}

func (c *Cache) building(digest v1.Hash) *progressCounter {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.builds[digest.Hex]
}

// buildAndPublish makes the image in a folder of its own and then gives the
// folder its name: either all of it is there or nothing.
func (c *Cache) buildAndPublish(ctx context.Context, o origin, p place, found *imageManifest, private bool, counter *progressCounter) (*Image, error) {
	work, done, err := c.workDir()
	if err != nil {
		return nil, err
	}
	defer done()
	stage := filepath.Join(work, "image")
	if err := os.Mkdir(stage, 0o755); err != nil {
		return nil, err
	}
	stop := reportWhile(newReporter(ctx), counter)
	sum, size, err := c.buildFile(ctx, o, found, work, filepath.Join(stage, erofsName), counter)
	stop()
	if err != nil {
		return nil, err
	}
	m := meta{
		Format: metaFormat, Reference: p.text, Digest: found.digest.String(), Platform: found.platform.String(),
		ErofsSHA256: sum, ErofsSize: size, Config: imageConfig(found.config.Config),
		Private: private, Created: time.Now().UTC(),
	}
	raw, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	if err := writeFileSynced(filepath.Join(stage, metaName), raw); err != nil {
		return nil, err
	}
	if err := c.publish(stage, found.digest); err != nil {
		return nil, err
	}
	image, _, err := c.pinned(found.digest)
	return image, err
}

func (c *Cache) buildFile(ctx context.Context, o origin, found *imageManifest, work, path string, counter *progressCounter) (sum string, size int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return "", 0, err
	}
	defer file.Close()
	if err := build(ctx, o, found, c.config.Limits, work, file, counter.add); err != nil {
		return "", 0, err
	}
	return sealFile(file)
}

// sealFile makes a file durable and returns its digest and size.
func sealFile(file *os.File) (sum string, size int64, err error) {
	synced := make(chan error, 1)
	go func() { synced <- file.Sync() }()
	h := newSHA256()
	size, err = io.Copy(h, io.NewSectionReader(file, 0, 1<<62))
	if err := errors.Join(err, <-synced, file.Chmod(0o444)); err != nil {
		return "", 0, err
	}
	return hex.EncodeToString(h.Sum(nil)), size, nil
}

func (c *Cache) publish(stage string, digest v1.Hash) error {
	final := c.path(imagesName, digest.Hex)
	// What is there could not be read, or we would not have built.
	if err := os.RemoveAll(final); err != nil {
		return err
	}
	if err := os.Rename(stage, final); err != nil {
		return err
	}
	return syncDir(c.path(imagesName))
}

// reportWhile tells a counter until the returned function is called.
func reportWhile(r *reporter, counter *progressCounter) (stop func()) {
	if r.report == nil {
		return func() {}
	}
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		ticker := time.NewTicker(pollEvery)
		defer ticker.Stop()
		for {
			r.tell(counter.read())
			select {
			case <-quit:
				r.tell(counter.read())
				return
			case <-ticker.C:
			}
		}
	}()
	return func() { close(quit); <-ended }
}
