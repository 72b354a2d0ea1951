package imagesync

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// importName is what an import may be called: a name as in the catalog, with a
// tag perhaps.
const importName = `^[a-z0-9][a-z0-9._-]{0,62}(:[A-Za-z0-9_][A-Za-z0-9._-]{0,62})?$`

func checkImportName(name string) error {
	if !regexp.MustCompile(importName).MatchString(name) {
		return fmt.Errorf("%w: a name has 1 to 63 of a-z, 0-9, dot, dash and underscore, and perhaps a :tag", ErrInvalid)
	}
	return nil
}

// Import copies an image, all its platforms, into the cache and gives it a name.
// The source is any reference; paths are allowed, as the caller is the operator.
// Every blob is verified. What had the name before loses it.
func (c *Cache) Import(ctx context.Context, source, name string) (Resolved, error) {
	if err := checkImportName(name); err != nil {
		return Resolved{}, &Error{Kind: ErrInvalid, Reference: name, Err: err}
	}
	p, err := parsePlace(source)
	if err != nil {
		return Resolved{}, err
	}
	resolved, err := c.importPlace(ctx, p, name)
	if err != nil {
		return Resolved{}, explain(source, p, err)
	}
	c.log.Info("imported image", "name", name, "source", source, "digest", resolved.Digest)
	return resolved, nil
}

func (c *Cache) importPlace(ctx context.Context, p place, name string) (Resolved, error) {
	o, done, _, err := c.sources.open(ctx, p)
	if err != nil {
		return Resolved{}, err
	}
	defer done()
	raw, err := o.resolve(ctx)
	if err != nil {
		return Resolved{}, err
	}
	platforms, err := listPlatforms(ctx, o, raw)
	if err != nil {
		return Resolved{}, err
	}
	layout, err := openLayoutWriter(c.path(importsName))
	if err != nil {
		return Resolved{}, err
	}
	defer layout.close()
	copying := &blobCopy{from: o, to: layout, left: c.config.Limits.WithDefaults().Bytes}
	d, err := copying.document(ctx, raw)
	if err != nil {
		return Resolved{}, err
	}
	top, err := layout.readIndex()
	if err != nil {
		return Resolved{}, err
	}
	if err := layout.setName(top, name, d); err != nil {
		return Resolved{}, err
	}
	return Resolved{Reference: name, Digest: d.Digest.String(), Platforms: platforms}, nil
}

// blobCopy copies an image between an origin and a layout.
type blobCopy struct {
	from origin
	to   *layoutWriter
	// left is how many bytes of layers may still come.
	left int64
}

// document copies what a manifest or index leads to, and then itself.
func (b *blobCopy) document(ctx context.Context, raw []byte) (v1.Descriptor, error) {
	var none v1.Descriptor
	doc, err := parseDocument(raw)
	if err != nil {
		return none, err
	}
	mediaType := types.OCIManifestSchema1
	if len(doc.Manifests) > 0 {
		mediaType = types.OCIImageIndex
	}
	for _, d := range doc.Manifests {
		member, err := fetchManifest(ctx, b.from, d.Digest)
		if err != nil {
			return none, err
		}
		inner, err := parseDocument(member)
		if err != nil {
			return none, err
		}
		if len(inner.Manifests) > 0 {
			return none, fmt.Errorf("%w: an index in an index", ErrInvalid)
		}
		if _, err := b.image(ctx, inner, member); err != nil {
			return none, err
		}
	}
	if len(doc.Manifests) > 0 {
		return b.store(raw, mediaType)
	}
	return b.image(ctx, doc, raw)
}

func (b *blobCopy) image(ctx context.Context, doc document, raw []byte) (v1.Descriptor, error) {
	if len(doc.Layers) > maxLayers {
		return v1.Descriptor{}, tooBig("layers", maxLayers)
	}
	for _, d := range append(doc.Layers, doc.Config) {
		if err := b.blob(ctx, d); err != nil {
			return v1.Descriptor{}, err
		}
	}
	return b.store(raw, types.OCIManifestSchema1)
}

func (b *blobCopy) blob(ctx context.Context, d v1.Descriptor) error {
	if _, err := parseDigest(d.Digest.String()); err != nil {
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	limit := b.left
	if d.Size < 0 || d.Size > limit {
		return tooBig("compressed bytes", limit)
	}
	b.left -= d.Size
	if info, err := os.Stat(b.to.blobPath(d.Digest)); err == nil && info.Size() == d.Size {
		return nil
	}
	body, err := b.from.blob(ctx, d)
	if err != nil {
		return err
	}
	defer body.Close()
	_, _, err = b.to.addBlob(ctxReader{ctx, newVerifier(body, d, nil)})
	return err
}

func (b *blobCopy) store(raw []byte, mediaType types.MediaType) (v1.Descriptor, error) {
	digest, size, err := b.to.addBlobFrom(func(w io.Writer) error {
		_, err := w.Write(raw)
		return err
	})
	return v1.Descriptor{MediaType: mediaType, Digest: digest, Size: size}, err
}

func (c *Cache) importedNames() ([]Info, error) {
	index, err := (&layoutWriter{dir: c.path(importsName)}).readIndex()
	if err != nil {
		return nil, err
	}
	var list []Info
	for _, d := range index.Manifests {
		info := Info{Reference: d.Annotations[refNameAnnotation], Digest: d.Digest.String(), Imported: true}
		if stat, err := os.Stat(filepath.Join(c.path(importsName), "blobs", d.Digest.Algorithm, d.Digest.Hex)); err == nil {
			info.Created, info.Used = stat.ModTime(), stat.ModTime()
		}
		list = append(list, info)
	}
	return list, nil
}

// removeImport takes a name away, and the blobs that only it needed.
func (c *Cache) removeImport(name string) (bool, error) {
	if _, err := os.Stat(c.path(importsName)); errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	layout, err := openLayoutWriter(c.path(importsName))
	if err != nil {
		return false, err
	}
	defer layout.close()
	top, err := layout.readIndex()
	if err != nil {
		return false, err
	}
	if _, found := byRefName(top, name); !found {
		return false, nil
	}
	return true, layout.dropName(top, name)
}
